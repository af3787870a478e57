"""Comparisons of methods: what is the same isn't told apart, what differs is, and what was never compared on the same rows is refused."""

from dataclasses import replace
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
from japagen.evaluation.significance import RunPredictions, compare, holm, read_run, resample
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


def test_one_run_each_is_the_paired_bootstrap_over_rows() -> None:
    task = of_metric("accuracy")
    first, second = made_runs(task, [0.7, 0.65], num_rows=500)
    found = compare(resample(task, [first], 4000), resample(task, [second], 4000))
    assert found is not None
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
    found = compare(*(resample(task, one, 200) for one in methods))
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
            found = compare(*(resample(task, method, 150) for method in methods))
            assert found is not None
            held += found.low <= 0 <= found.high
            false += found.p < 0.01
        assert held >= 300 * 0.92, spread
        assert false <= 300 * 0.03, spread


def test_few_rows_prove_little() -> None:
    task = of_metric("accuracy")
    for num_rows, least in ((2, 0.5), (3, 0.25), (11, 2**-10)):
        ids, gold = ("",) * num_rows, ("red",) * num_rows
        found = compare(
            resample(task, [RunPredictions(ids, gold, ["red"] * num_rows)]),
            resample(task, [RunPredictions(ids, gold, ["blue"] * num_rows)]),
        )
        assert found is not None
        assert (found.value, found.low, found.high, found.p) == (1.0, 1.0, 1.0, least)


def test_rounding_is_no_difference() -> None:
    task, gold = of_metric("accuracy"), ("red",) * 10
    run = RunPredictions(("",) * 10, gold, ["red"] + ["blue"] * 9)
    found = compare(resample(task, [run] * 3), resample(task, [run]))
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
    first, second = (resample(task, [RunPredictions(*rows, predictions)]) for predictions in ([0.0, 0.0, 1.0], [0.0, 1.0, 0.5]))
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
    ):
        with pytest.raises(DataError, match=message):
            compare(resample(task, [run], 5), resample(task, [other], 5))
        with pytest.raises(DataError, match=message):
            resample(task, [run, other], 5)


def test_runs_are_read_from_a_result(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    with pytest.raises(StoreError, match=r"predictions\.parquet: predictions can't be read"):
        read_run(path)
    columns = {"id": ["a", "b"], "gold": [1.5, 2.0], "prediction": [1.0, 2.5], "outputs": [[1.0], [2.5]]}
    pq.write_table(pa.table(columns), path)
    assert read_run(path) == RunPredictions(("a", "b"), (1.5, 2.0), [1.0, 2.5])
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
