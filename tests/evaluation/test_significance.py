"""Comparisons of methods: what is the same isn't told apart, what differs is, and what was never compared on the same rows is refused."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from japagen.errors import DataError, StoreError
from japagen.evaluation.metrics import score
from japagen.evaluation.significance import Difference, Resampled, RunPredictions, compare, holm, read_run, resample
from japagen.tasks import Example, Task
from tests.stubs.scored_tasks import COLOURS, LEVELS, NAMES

CLASSIFICATION = ["accuracy", "macro_f1", "mcc"]
CORRELATIONS = ["spearman", "pearson"]


def of_metric(metric: str) -> Task:
    return replace(COLOURS if metric in CLASSIFICATION else LEVELS, metric=metric)


def made_runs(task: Task, skills: list[float], seed: int = 0, num_rows: int = 400) -> list[RunPredictions]:
    """One run a skill: the share of rows it knows, or how near it comes to their scores. The rows are the same for all seeds."""
    gold_rng, rng = np.random.default_rng(99), np.random.default_rng(seed)
    ids = tuple(str(number) for number in range(num_rows))
    if task.is_regression:
        values = gold_rng.uniform(0, 5, size=num_rows)
        noisy = [(skill * values + rng.normal(size=num_rows)).tolist() for skill in skills]
        return [RunPredictions(ids, tuple(values.tolist()), predictions) for predictions in noisy]
    gold = tuple(str(name) for name in gold_rng.choice(NAMES, size=num_rows))
    guesses = [[label if rng.random() < skill else str(rng.choice(NAMES)) for label in gold] for skill in skills]
    return [RunPredictions(ids, gold, predictions) for predictions in guesses]


@pytest.mark.parametrize("metric", CLASSIFICATION + CORRELATIONS)
def test_every_metric_tells_what_differs_from_what_does_not(metric: str) -> None:
    task = of_metric(metric)
    good, bad, as_good = (resample(task, made_runs(task, [skill] * 3, seed)) for skill, seed in ((0.8, 1), (0.4, 2), (0.8, 3)))
    found = compare(good, bad)
    assert found is not None
    assert found.p < 0.001
    assert 0 < found.low < found.value < found.high
    turned = compare(bad, good)
    assert turned is not None
    assert (turned.value, turned.low, turned.high) == pytest.approx((-found.value, -found.high, -found.low))
    assert turned.p == pytest.approx(found.p)
    same = compare(good, good)
    assert same is not None
    assert (same.value, same.p) == (0.0, 1.0)
    assert same.low <= 0 <= same.high
    equal = compare(good, as_good)
    assert equal is not None
    assert equal.p > 0.05
    assert equal.low < 0 < equal.high


@pytest.mark.parametrize("metric", CLASSIFICATION + CORRELATIONS)
def test_values_are_those_of_evaluation(metric: str) -> None:
    task = of_metric(metric)
    runs = made_runs(task, [0.9, 0.5, 0.1])
    found = resample(task, runs, num_resamples=20)
    assert found.resampled.shape == (20, 3)
    for run, value in zip(runs, found.values, strict=True):
        rows = [Example((), "0", float(gold)) if task.is_regression else Example((), str(gold)) for gold in run.gold]
        assert value == pytest.approx(score(task, rows, run.predictions)[metric])


@pytest.mark.parametrize(
    ("skills", "draws", "too_few"),
    [([0.9], [0], "one run"), ([0.9] * 3, [7, 7, 7], "3 runs on one draw of the data")],
)
def test_a_side_with_one_draw_has_a_difference_and_no_test(skills: list[float], draws: list[int], too_few: str) -> None:
    task = of_metric("accuracy")
    several = resample(task, made_runs(task, [0.4] * 3))
    single = resample(task, made_runs(task, skills, seed=1), draws)
    assert (single.too_few, several.too_few) == (too_few, "")
    for first, second in ((single, several), (several, single), (single, single)):
        assert compare(first, second) == Difference(pytest.approx(first.values.mean() - second.values.mean()))


def test_runs_on_one_draw_count_as_its_mean() -> None:
    task = of_metric("macro_f1")
    runs = made_runs(task, [0.9, 0.7, 0.5, 0.3])
    found = resample(task, runs, ["a", "b", "a", "a"], num_resamples=20)
    alone = resample(task, runs, num_resamples=20)
    assert (found.num_runs, found.num_draws) == (4, 2)
    assert found.values == pytest.approx([alone.values[[0, 2, 3]].mean(), alone.values[1]])
    assert found.resampled[:, 0] == pytest.approx(alone.resampled[:, [0, 2, 3]].mean(axis=1))


def test_draws_without_differences_are_the_paired_bootstrap_over_rows() -> None:
    task = of_metric("accuracy")
    first, second = made_runs(task, [0.7, 0.65], num_rows=500)
    found = compare(resample(task, [first] * 2, num_resamples=4000), resample(task, [second] * 2, num_resamples=4000))
    assert found is not None
    assert found.error_draws == 0
    right = [
        np.array([gold == guess for gold, guess in zip(run.gold, run.predictions, strict=True)], dtype=float) for run in (first, second)
    ]
    paired = stats.ttest_rel(*right)
    assert found.value == pytest.approx(right[0].mean() - right[1].mean())
    assert found.p == pytest.approx(paired.pvalue, abs=0.03)
    interval = paired.confidence_interval()
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=0.004)


def test_rows_that_hardly_matter_leave_the_test_of_welch_over_seeds() -> None:
    """Every row the same: what is left is how training differs."""
    task, gold = of_metric("accuracy"), ("red",) * 20_000
    shares = [[0.60, 0.70, 0.66], [0.72, 0.90, 0.81]]
    methods = [
        [RunPredictions((), gold, ["red"] * round(share * len(gold)) + ["blue"] * (len(gold) - round(share * len(gold)))) for share in one]
        for one in shares
    ]
    methods = [[replace(run, ids=("",) * len(gold)) for run in one] for one in methods]
    found = compare(*(resample(task, one, num_resamples=200) for one in methods))
    assert found is not None
    welch = stats.ttest_ind(*shares, equal_var=False)
    assert found.p == pytest.approx(welch.pvalue, abs=0.005)
    interval = welch.confidence_interval()
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), abs=0.01)


def test_equal_methods_are_rarely_told_apart_and_intervals_hold_the_truth() -> None:
    """Rows of their own difficulty, seeds of their own skill: at 5%, of 300 comparisons about 15 may fail."""
    task, rng, num_rows = of_metric("accuracy"), np.random.default_rng(0), 300
    ids, gold = ("",) * num_rows, ("red",) * num_rows
    for spread in (0.0, 0.3):
        held = false = 0
        for _ in range(300):
            difficulty = rng.normal(1.0, 1.0, size=num_rows)
            methods = []
            for _ in range(2):
                logits = [difficulty + rng.normal(0, spread) + rng.normal(0, 0.7, size=num_rows) for _ in range(3)]
                methods.append([RunPredictions(ids, gold, np.where(run > 0, "red", "blue").tolist()) for run in logits])
            found = compare(*(resample(task, method, num_resamples=150) for method in methods))
            assert found is not None
            assert found.low is not None
            assert found.high is not None
            assert found.p is not None
            held += found.low <= 0 <= found.high
            false += found.p < 0.01
        assert held >= 300 * 0.92, spread
        assert false <= 300 * 0.03, spread


@dataclass(frozen=True)
class Side:
    """A method's draws; standard deviations in units of the row noise peculiar to one run."""

    num_draws: int
    spread: float


def drawn(rng: np.random.Generator, side: Side, difficulty: np.ndarray, own_rows: float, better: float) -> Resampled:
    """A method as resampling rows shows it, all terms normal: `difficulty` (1 + R,) is what rows have in common for both methods, on the
    gold rows and on resamples of them."""
    num_resamples = len(difficulty) - 1
    of_rows = difficulty + rng.normal(0, own_rows, size=len(difficulty))
    of_runs = rng.normal(size=(1 + num_resamples, side.num_draws))
    values = better + rng.normal(0, side.spread, size=side.num_draws) + of_rows[0] + of_runs[0]
    ids = ("",) * 500
    return Resampled((ids, ids, ()), values, values + of_rows[1:, None] + of_runs[1:], side.num_draws, len(ids))


def share_found(first: Side, second: Side, better: float = 0.0, num: int = 2000, own_rows: float = 0.4) -> float:
    """Of simulated comparisons, those with p < 0.05."""
    rng, found = np.random.default_rng(5), 0
    for _ in range(num):
        difficulty = rng.normal(0, 2, size=201)
        difference = compare(*(drawn(rng, side, difficulty, own_rows, shift) for side, shift in ((first, better), (second, 0.0))))
        assert difference is not None
        found += difference.p is not None and difference.p < 0.05
    return found / num


@pytest.mark.parametrize("spread", [0.0, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("num_draws", [3, 5])
def test_equal_methods_are_called_different_in_about_5_percent(num_draws: int, spread: float) -> None:
    """From draws that differ by row noise only to draws beside which it is nothing."""
    assert 0.02 < share_found(Side(num_draws, spread), Side(num_draws, spread)) < 0.08


def test_one_draw_is_never_called_different() -> None:
    assert share_found(Side(1, 2.0), Side(1, 2.0), num=100) == 0
    assert share_found(Side(3, 2.0), Side(1, 2.0), better=9.0, num=100) == 0


def test_row_noise_is_counted_once() -> None:
    """A difference that a test with the true variance finds in 87%: adding the scores' variance as it is would find it in 64%."""
    deviation = np.sqrt(2 * (0.4**2 + 1 / 3))
    assert share_found(Side(3, 0.0), Side(3, 0.0), better=3.09 * deviation) > 0.77


def test_rows_that_belong_together_are_drawn_together() -> None:
    """Every row four times: 4 N rows tell no more than N."""
    task = of_metric("accuracy")
    runs = [made_runs(task, [skill] * 3, seed, num_rows=100) for seed, skill in enumerate((0.8, 0.7))]
    four = [
        [
            RunPredictions(run.ids * 4, run.gold * 4, [*run.predictions] * 4, tuple(f"picture {row}" for row in range(100)) * 4)
            for run in method
        ]
        for method in runs
    ]
    once, clustered = (compare(*(resample(task, method) for method in methods)) for methods in (runs, four))
    by_rows = compare(*(resample(task, [replace(run, clusters=()) for run in method]) for method in four))
    assert once is not None
    assert clustered is not None
    assert by_rows is not None
    assert (clustered.value, clustered.error_rows, clustered.p) == pytest.approx((once.value, once.error_rows, once.p))
    assert by_rows.error_rows == pytest.approx(once.error_rows / 2, rel=0.1)


def test_few_rows_prove_little() -> None:
    task = of_metric("accuracy")
    for num_rows, least in ((2, 0.5), (3, 0.25), (11, 2**-10)):
        ids, gold = ("",) * num_rows, ("red",) * num_rows
        found = compare(
            resample(task, [RunPredictions(ids, gold, ["red"] * num_rows)] * 2),
            resample(task, [RunPredictions(ids, gold, ["blue"] * num_rows)] * 2),
        )
        assert found is not None
        assert (found.value, found.low, found.high, found.p) == (1.0, 1.0, 1.0, least)


def test_rounding_is_no_difference() -> None:
    task, gold = of_metric("accuracy"), ("red",) * 10
    run = RunPredictions(("",) * 10, gold, ["red"] + ["blue"] * 9)
    found = compare(resample(task, [run] * 3), resample(task, [run] * 2))
    assert found is not None
    assert (found.value, found.p) == (0.0, 1.0)


def test_what_gold_rows_cannot_measure_has_no_difference() -> None:
    task = of_metric("spearman")
    constant = resample(task, [RunPredictions(("a", "b"), (1.0, 1.0), [0.0, 1.0])])
    assert compare(constant, constant) is None
    for rows in ((), ("red",)):
        run = RunPredictions(("",) * len(rows), rows, list(rows))
        assert compare(resample(of_metric("mcc"), [run]), resample(of_metric("mcc"), [run])) is None


def test_resamples_without_value_are_left_out() -> None:
    task = of_metric("pearson")
    rows = ("a", "b", "c"), (1.0, 1.0, 2.0)
    first, second = (resample(task, [RunPredictions(*rows, predictions)] * 2) for predictions in ([0.0, 0.0, 1.0], [0.0, 1.0, 0.5]))
    assert np.isnan(first.resampled).any()
    found = compare(first, second)
    assert found is not None
    assert np.isfinite([found.low, found.high, found.p]).all()


def test_other_gold_rows_are_refused() -> None:
    task = of_metric("accuracy")
    run = RunPredictions(("a", "b", "c"), ("red", "red", "blue"), ["red"] * 3)
    other_ids, other_gold = replace(run, ids=("a", "c", "b")), replace(run, gold=("red", "blue", "blue"))
    fewer = RunPredictions(("a", "b"), ("red", "red"), ["red"] * 2)
    for other, message in (
        (other_ids, "gold rows differ in their ids, first in row 1: 'b' on one side, 'c' on the other"),
        (other_gold, "gold rows differ in their labels or scores, first in row 1: 'red' on one side, 'blue' on the other"),
        (fewer, "3 gold rows on one side, 2 on the other"),
        (replace(run, clusters=("p", "p", "q")), "gold rows have clusters on one side only"),
    ):
        with pytest.raises(DataError, match=message):
            compare(resample(task, [run], num_resamples=5), resample(task, [other], num_resamples=5))
        with pytest.raises(DataError, match=message):
            resample(task, [run, other], num_resamples=5)


def test_runs_are_read_from_a_result(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    with pytest.raises(StoreError, match=r"predictions\.parquet: predictions can't be read"):
        read_run(path)
    columns = {"id": ["a", "b"], "gold": [1.5, 2.0], "prediction": [1.0, 2.5], "outputs": [[1.0], [2.5]]}
    pq.write_table(pa.table(columns), path)
    assert read_run(path) == RunPredictions(("a", "b"), (1.5, 2.0), [1.0, 2.5])
    pq.write_table(pa.table(columns | {"cluster": ["", ""]}), path)
    assert read_run(path).clusters == ()
    pq.write_table(pa.table(columns | {"cluster": ["p", ""]}), path)
    assert read_run(path).clusters == ("p", "")
    pq.write_table(pa.table({"id": ["a"], "gold": ["red"]}), path)
    with pytest.raises(StoreError, match="can't be read"):
        read_run(path)
    path.write_bytes(b"half a fi")
    with pytest.raises(StoreError, match="can't be read"):
        read_run(path)


def test_holm_as_worked_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([0.2]) == [0.2]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_rejects_what_the_steps_reject(p_values: list[float]) -> None:
    corrected = holm(p_values)
    rejected, going_on = set(), True
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda number: p_values[number])):
        going_on = going_on and (len(p_values) - rank) * p_values[place] < 0.05
        rejected |= {place} if going_on else set()
    assert {place for place, p in enumerate(corrected) if p < 0.05} == rejected
    assert all(p <= one <= 1 for p, one in zip(p_values, corrected, strict=True))
    assert all(one <= min(1, len(p_values) * p) for p, one in zip(p_values, corrected, strict=True)), "never more than Bonferroni's"
