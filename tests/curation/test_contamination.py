"""Which texts match evaluation texts: copies and near copies, and no phrases in common."""

from collections import Counter

import pytest

from japagen import gold
from japagen.config.schema import Data
from japagen.curation.contamination import EvaluationTexts
from tests.conftest import MIRROR, load_task, needs_mirror

CAPTION = "白い大きな犬が公園の芝生の上を元気に走っています。"
ARTICLE = f"{CAPTION}飼い主は少し離れたベンチからその様子を眺めていました。"


@pytest.mark.parametrize(
    ("text", "is_match"),
    [
        (CAPTION, True),
        (CAPTION.replace("。", "！"), True),
        ("ＡＢＣの看板。", True),
        ("ABCの看板。", True),
        (CAPTION.replace("白い", "黒い"), True),
        (f"茶色い{CAPTION[3:16]}いる。", False),
        ("黒い猫が屋根の上で眠っています。", False),
        (f"今日も{CAPTION}みんなで写真を撮って、家に帰ってから友だちに送りました。", False),
        (f"昨日の話です。{ARTICLE}そのあと雨が降りだして、みんな走って帰りました。傘は誰も持っていませんでした。", True),
        (ARTICLE[10:45], True),
        ("", False),
        ("犬", False),
    ],
)
def test_copies_match_and_common_phrases_do_not(text: str, is_match: bool) -> None:
    known = EvaluationTexts([CAPTION, "ABCの看板。", ARTICLE])
    assert known.matches([(text,)]) == [is_match]
    assert known.matches([("別の文である。", text)]) == [is_match], "a pair matches where either text does"


def test_without_evaluation_texts_nothing_matches() -> None:
    assert EvaluationTexts([]).matches([(CAPTION,), ("犬", "猫")]) == [False, False]
    assert EvaluationTexts([CAPTION]).matches([]) == []


@needs_mirror
@pytest.mark.parametrize(
    ("name", "source", "expected"), [("jsts", None, 360), ("jnli", "jnli_neg", 13), ("jcola", None, 57), ("news", None, 0)]
)
def test_train_splits_keep_nearly_all_rows(name: str, source: str | None, expected: int) -> None:
    """Rows of published train splits that match scored ones: 2.9% of JSTS, 1.6% of JNLI-Neg's originals, 0.8% of JCoLA, none of News."""
    task = load_task(name)
    data = Data(source="published", split=task.published.scored, train_source=source, mirror=str(MIRROR))
    train, scored = gold.read_train(task, data), gold.read_eval(task, data)
    assert train is not None
    assert scored is not None
    splits = [scored, *gold.read_also_scored(task, data).values()]
    known = EvaluationTexts(text for split in splits for row in split.examples for text in row.texts)
    found = known.matches([row.texts for row in train.examples])
    assert Counter(found)[True] == expected
