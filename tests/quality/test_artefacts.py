"""Artefacts: a label that one part of a row gives away is found, one that it doesn't isn't."""

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from japagen.quality.artefacts import overlap_by_label, partial_reading, sharing
from japagen.tasks import Example, Label, Task
from tests.conftest import load_task
from tests.stubs.stored_quality import pairs

JNLI = load_task("jnli")


def test_a_word_that_gives_the_label_away_is_found_in_its_sentence_only() -> None:
    found = partial_reading(JNLI, pairs(40, JNLI))
    assert found is not None
    assert found["parts"]["sentence2"] > 0.9
    assert found["parts"]["sentence1"] < 0.5, "first sentences are the same for every label"
    assert (found["metric"], found["n"], found["folds"]) == ("accuracy", 120, 5)
    assert 0.33 < found["majority"] < 0.34


def test_labels_at_random_are_not_foretold() -> None:
    shuffled = pairs(40, JNLI)
    labels = [row.label for row in shuffled]
    random.Random(0).shuffle(labels)
    found = partial_reading(JNLI, [replace(row, label=label) for row, label in zip(shuffled, labels, strict=True)])
    assert found is not None
    assert found["parts"]["sentence2"] < 0.55


def test_a_regression_is_held_against_zero() -> None:
    task = load_task("jsts")
    rows = [row for row in pairs(30, task) if row.score in (0.0, 4.0)]
    rows = [replace(row, texts=(row.texts[0], ("違う" if row.score == 0 else "同じ") + row.texts[1][3:])) for row in rows]
    found = partial_reading(task, rows)
    assert found is not None
    assert found["parts"]["sentence2"] > 0.8
    assert found["majority"] == 0


NEWS = load_task("news")


def single_texts(num: int, ending: str = "です", longer: int = 0) -> list[Example]:
    """`num` texts for each of two labels; those of the second end in `ending` and are `longer` characters longer."""
    rng = random.Random(0)
    rows = []
    for label, end, more in ((NEWS.label_names[0], "です", 0), (NEWS.label_names[1], ending, longer)):
        for _ in range(num):
            body = "".join(rng.choices("あいうえおかきくけこさしすせそ", k=rng.randint(20, 30) + more))
            rows.append(Example((body + end,), label))
    return rows


def test_a_single_text_that_its_length_or_ending_gives_away_is_found() -> None:
    plain, ending, longer = (
        partial_reading(NEWS, rows) for rows in (single_texts(60), single_texts(60, "だよ"), single_texts(60, longer=9))
    )
    assert plain is not None
    assert ending is not None
    assert longer is not None
    assert set(plain["parts"]) == {"length", "last 5 characters"}
    assert max(plain["parts"].values()) < 0.65
    assert ending["parts"]["last 5 characters"] > 0.95 > 0.65 > ending["parts"]["length"]
    assert longer["parts"]["length"] > 0.85 > 0.65 > longer["parts"]["last 5 characters"]
    assert plain["majority"] == 0.5


def test_a_regression_of_single_texts_is_probed_too() -> None:
    labels = [Label(str(level), "書く", score=float(level)) for level in range(6)]
    task = Task(name="stars", target="regression", metric="spearman", labels=labels, system="s")
    rng = random.Random(1)
    scores = [rng.uniform(0, 5) for _ in range(90)]
    rows = [Example(("".join(rng.choices("あいうえお", k=5 + round(4 * score))),), str(round(score)), score) for score in scores]
    found = partial_reading(task, rows)
    assert found is not None
    assert found["parts"]["length"] > 0.9
    assert found["parts"]["last 5 characters"] < 0.5


def test_where_nothing_can_be_held_out_there_is_no_figure() -> None:
    chain = [Example(("同じ文。", f"{number}番目。"), label) for number, label in enumerate(JNLI.label_names * 3)]
    assert partial_reading(JNLI, chain) is None, "all share a sentence"
    assert partial_reading(JNLI, [row for row in pairs(9, JNLI) if row.label == "neutral"]) is None, "one label"
    assert partial_reading(JNLI, []) is None


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
