"""Artefacts of pairs: a label that one sentence gives away is found, one that it doesn't isn't."""

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from japagen.quality.artefacts import one_text_only, overlap_by_label, sharing
from japagen.tasks import Example
from tests.conftest import load_task
from tests.stubs.stored_quality import pairs

JNLI = load_task("jnli")


def test_a_word_that_gives_the_label_away_is_found_in_its_sentence_only() -> None:
    found = one_text_only(JNLI, pairs(40, JNLI))
    assert found is not None
    assert found["fields"]["sentence2"] > 0.9
    assert found["fields"]["sentence1"] < 0.5, "first sentences are the same for every label"
    assert (found["metric"], found["n"], found["folds"]) == ("accuracy", 120, 5)
    assert 0.33 < found["majority"] < 0.34


def test_labels_at_random_are_not_foretold() -> None:
    shuffled = pairs(40, JNLI)
    labels = [row.label for row in shuffled]
    random.Random(0).shuffle(labels)
    found = one_text_only(JNLI, [replace(row, label=label) for row, label in zip(shuffled, labels, strict=True)])
    assert found is not None
    assert found["fields"]["sentence2"] < 0.55


def test_a_regression_is_held_against_zero() -> None:
    task = load_task("jsts")
    rows = [row for row in pairs(30, task) if row.score in (0.0, 4.0)]
    rows = [replace(row, texts=(row.texts[0], ("違う" if row.score == 0 else "同じ") + row.texts[1][3:])) for row in rows]
    found = one_text_only(task, rows)
    assert found is not None
    assert found["fields"]["sentence2"] > 0.8
    assert found["majority"] == 0


def test_where_nothing_can_be_held_out_there_is_no_figure() -> None:
    chain = [Example(("同じ文。", f"{number}番目。"), label) for number, label in enumerate(JNLI.label_names * 3)]
    assert one_text_only(JNLI, chain) is None, "all share a sentence"
    assert one_text_only(JNLI, [row for row in pairs(9, JNLI) if row.label == "neutral"]) is None, "one label"
    assert one_text_only(JNLI, []) is None


SENTENCES = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("abcdefgh")), max_size=10)


@given(SENTENCES)
def test_rows_that_share_a_sentence_are_of_one_group(texts: list[tuple[str, str]]) -> None:
    groups = sharing([Example(row, "x") for row in texts])
    for pair, group in zip(texts, groups, strict=True):
        for other, another in zip(texts, groups, strict=True):
            assert group == another or not set(pair) & set(other)
    assert sorted(set(groups)) == list(range(len(set(groups))))


def test_rows_that_share_nothing_are_of_groups_of_their_own() -> None:
    assert len(set(sharing([Example((f"{n}", f"{n}い"), "x") for n in range(5)]))) == 5


def test_overlap_by_label() -> None:
    found = overlap_by_label(JNLI, [Example(("あい", "あい"), "entailment"), Example(("あい", "うえ"), "neutral")])
    assert found["entailment"] is not None
    assert found["neutral"] is not None
    assert (found["entailment"]["mean"], found["neutral"]["mean"], found["contradiction"]) == (1.0, 0.0, None)
