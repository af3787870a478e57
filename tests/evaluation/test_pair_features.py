"""The features of a pair: each says what its name does, in Japanese and in English."""

import numpy as np
import pytest

from japagen.evaluation.pair_features import NAMES, pair_features
from japagen.tasks import Example


def features_of(first: str, second: str, language: str = "ja") -> dict[str, float]:
    return dict(zip(NAMES, pair_features([Example((first, second), "x")], language)[0], strict=True))


def test_there_are_fourteen_and_equal_texts_have_the_highest() -> None:
    assert len(NAMES) == 14
    found = features_of("犬が走る。", "犬が走る。")
    same = [name for name in NAMES if not name.startswith(("length", "nega"))]
    assert [found[name] for name in same] == [1.0] * len(same)
    assert (found["negated_first"], found["negated_second"], found["negation_differs"]) == (0, 0, 0)


def test_a_part_is_in_the_whole_and_not_the_other_way_round() -> None:
    found = features_of("大きな犬が走る。", "犬が走る。")
    assert found["second_in_first_1"] == found["second_in_first_2"] == 1.0
    assert found["first_in_second_1"] < 1
    assert found["first_in_second_2"] < 1
    assert found["length_first"] == pytest.approx(np.log(9))


@pytest.mark.parametrize(
    ("text", "language", "is_negated"),
    [
        ("犬は走らない。", "ja", 1), ("犬は走りません。", "ja", 1), ("犬はいなかった。", "ja", 1), ("無人の駅。", "ja", 1),
        ("犬が走る。", "ja", 0),
        ("犬は走らず、寝る。", "", 1), ("The dog doesn't run.", "en", 1), ("No dog runs.", "en", 1), ("He is without shoes.", "de", 1),
        ("The dog runs another mile.", "en", 0), ("A note on knots.", "en", 0), ("すずめが鳴く。", "ja", 0),
    ],
)  # fmt: skip
def test_negation(text: str, language: str, is_negated: int) -> None:
    found = features_of("x", text, language)
    assert (found["negated_first"], found["negated_second"], found["negation_differs"]) == (0, is_negated, is_negated)


def test_no_rows_and_empty_texts_have_numbers() -> None:
    assert pair_features([], "ja").shape == (0, 14)
    assert np.isfinite(pair_features([Example(("", ""), "x"), Example(("あ", ""), "x")], "ja")).all()
