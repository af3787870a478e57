"""Draws from a train split: exact sizes, the right labels, the same rows for the same seed, and nothing on both sides."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from japagen.errors import ConfigError, DataError
from japagen.gold import Split, draw_exemplars, draw_per_label, hold_out
from japagen.tasks import Example, Label, Task, nearest_level

CLASSES = Task(name="mail", labels=[Label("spam", "x"), Label("ham", "y")])
LEVELS = Task(name="levels", target="regression", metric="spearman", labels=[Label(str(n), "x", score=float(n)) for n in range(6)])
HALVES = Task(name="halves", target="regression", metric="spearman", labels=[Label(str(n / 2), "x", score=n / 2) for n in range(5)])

seeds = st.integers(0, 5)
class_rows = st.lists(st.builds(Example, st.tuples(st.sampled_from("あいうえおかきくけこ")), st.sampled_from(["spam", "ham"])))
pair_rows = st.lists(st.tuples(st.sampled_from("あいうえおか"), st.text("さしすせそ", max_size=3)), min_size=1, max_size=60).map(
    lambda pairs: [Example(pair, "0", 0.0, str(number)) for number, pair in enumerate(pairs)]
)


def make_split(examples: list[Example]) -> Split:
    return Split("train", tuple(examples), "", "files: my.csv", "the user's own")


def scored(task: Task, scores: list[float]) -> list[Example]:
    return [Example((f"文{number}",), nearest_level(task, score).name, score) for number, score in enumerate(scores)]


@settings(deadline=None)
@given(examples=class_rows, shots=st.integers(0, 4), seed=seeds)
def test_exemplars_are_exactly_k_different_rows_of_each_label_or_an_error(examples: list[Example], shots: int, seed: int) -> None:
    distinct = Counter(label for _, label in {(example.texts, example.label) for example in examples})
    if min(distinct["spam"], distinct["ham"]) < shots:
        with pytest.raises(ConfigError):
            draw_exemplars(CLASSES, make_split(examples), shots, seed)
        return
    drawn = draw_exemplars(CLASSES, make_split(examples), shots, seed)
    assert list(drawn) == ["spam", "ham"]
    for label, rows in drawn.items():
        assert len({row.texts for row in rows}) == len(rows) == shots
        assert all(row in examples and row.label == label for row in rows)


@settings(deadline=None)
@given(examples=class_rows, seed=seeds, random=st.randoms())
def test_draws_ignore_the_files_order_and_are_nested(examples: list[Example], seed: int, random: object) -> None:
    examples = [*examples, Example(("さ",), "spam"), Example(("し",), "ham")]
    shuffled = examples.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one = draw_exemplars(CLASSES, make_split(examples), 1, seed)
    assert draw_exemplars(CLASSES, make_split(shuffled), 1, seed) == one
    num_texts = min(len({e.texts for e in examples if e.label == label}) for label in ("spam", "ham"))
    most = draw_exemplars(CLASSES, make_split(examples), num_texts, seed)
    assert all(most[label][:1] == one[label] for label in one)


def test_another_seed_draws_other_rows() -> None:
    split = make_split([Example((f"文{number}",), label) for number in range(50) for label in ("spam", "ham")])
    drawn = {draw_exemplars(CLASSES, split, 3, seed)["ham"] for seed in range(10)}
    assert len(drawn) == 10
    assert len({draw_per_label(CLASSES, split, 3, seed) for seed in range(10)}) == 10


@settings(deadline=None)
@given(tenths=st.lists(st.integers(0, 50), min_size=1), seed=seeds)
@pytest.mark.parametrize("task", [LEVELS, HALVES])
def test_regression_exemplars_stand_within_three_tenths_of_their_level_only(task: Task, tenths: list[int], seed: int) -> None:
    highest = max(task.label_scores())
    examples = scored(task, [tenth / 10 for tenth in tenths if tenth / 10 <= highest])
    for label in task.labels:
        alone = Task(name="one", target="regression", labels=[label])
        fitting = [e for e in examples if round(abs((e.score or 0.0) - (label.score or 0.0)) * 10) <= 3 and e.label == label.name]
        assert set(draw_exemplars(alone, make_split(examples), len(fitting), seed)[label.name]) == set(fitting)
        with pytest.raises(ConfigError):
            draw_exemplars(alone, make_split(examples), len(fitting) + 1, seed)


def test_too_many_shots_name_the_label_and_how_many_there_are() -> None:
    split = make_split([Example((text,), label) for text, label in [("一", "spam"), ("二", "spam"), ("三", "ham"), ("三", "ham")]])
    with pytest.raises(ConfigError) as caught:
        draw_exemplars(CLASSES, split, 2, seed=0)
    assert str(caught.value) == "shots=2 is too many: label 'ham' has 1 different rows in files: my.csv; allowed: up to 1"
    with pytest.raises(ConfigError, match=r"shots=1 is too many: label '0' has 0 different rows within 0\.3 of its score"):
        draw_exemplars(LEVELS, make_split(scored(LEVELS, [0.4])), 1, seed=0)


@settings(deadline=None)
@given(examples=class_rows, num=st.integers(1, 4), seed=seeds)
def test_gold_rows_are_exactly_k_of_each_label_and_none_twice_or_an_error(examples: list[Example], num: int, seed: int) -> None:
    examples = [Example(e.texts, e.label, None, str(number)) for number, e in enumerate(examples)]
    counts = Counter(example.label for example in examples)
    if min(counts["spam"], counts["ham"]) < num:
        with pytest.raises(ConfigError):
            draw_per_label(CLASSES, make_split(examples), num, seed)
        return
    drawn = draw_per_label(CLASSES, make_split(examples), num, seed)
    assert Counter(example.label for example in drawn) == {"spam": num, "ham": num}
    assert len({example.id for example in drawn}) == len(drawn)
    assert set(drawn) <= set(examples)


def test_gold_rows_of_a_regression_task_are_the_nearest_levels() -> None:
    split = make_split(scored(LEVELS, [0.4, 0.6, 2.4, 2.6, 3.6, 4.6]))
    assert [example.score for example in draw_per_label(LEVELS, split, 1, seed=0)] == [0.4, 0.6, 2.4, 2.6, 3.6, 4.6]


def test_too_few_gold_rows_name_the_setting() -> None:
    with pytest.raises(ConfigError) as caught:
        draw_per_label(CLASSES, make_split([Example(("一",), "spam"), Example(("二",), "ham")]), 5, seed=0)
    assert str(caught.value) == "gold_per_label=5 is too many: label 'spam' has 1 rows in files: my.csv; allowed: up to 1"


@settings(deadline=None)
@given(examples=pair_rows, fraction=st.sampled_from([0.05, 0.1, 0.3, 0.5]), seed=seeds)
def test_held_out_rows_share_no_first_sentence_with_the_rest(examples: list[Example], fraction: float, seed: int) -> None:
    sizes = Counter(example.texts[0] for example in examples)
    if len(sizes) < 2:
        with pytest.raises(DataError):
            hold_out(examples, fraction, seed)
        return
    train, valid = hold_out(examples, fraction, seed)
    assert (train, valid) == hold_out(examples, fraction, seed)
    assert not {e.texts[0] for e in train} & {e.texts[0] for e in valid}
    assert sorted(train + valid, key=lambda e: int(e.id)) == examples
    assert list(train) == sorted(train, key=lambda e: int(e.id))
    assert train
    assert valid
    assert len(valid) <= max(1, round(fraction * len(examples)), min(sizes.values()))


def test_held_out_share_is_met_where_first_sentences_are_many() -> None:
    examples = [Example((f"文{number}", "対"), "0", 0.0) for number in range(200)]
    assert [len(hold_out(examples, 0.1, seed)[1]) for seed in range(5)] == [20] * 5
    assert len({hold_out(examples, 0.1, seed)[1] for seed in range(5)}) == 5


def test_rows_with_one_first_sentence_cannot_be_parted() -> None:
    with pytest.raises(DataError, match=r"3 row\(s\) with 1 different first text\(s\) can't be parted"):
        hold_out([Example(("同じ", second), "0") for second in "一二三"], 0.1, seed=0)
