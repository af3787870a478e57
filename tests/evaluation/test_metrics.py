import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sklearn_metrics

from japagen.evaluation.metrics import (
    calibration_error,
    clusters_of,
    count_clusters,
    counted_metric,
    decide,
    draw_counts,
    evaluate,
    gold_value,
    score,
)
from japagen.tasks import Example, Label, Task
from tests.stubs.scored_tasks import COLOURS, LEVELS, NAMES


def coloured(labels: list[str]) -> list[Example]:
    return [Example(("あ",), label) for label in labels]


def scored(values: list[float]) -> list[Example]:
    return [Example(("あ", "い"), str(round(value)), score=value) for value in values]


@pytest.mark.filterwarnings("ignore:A single label was found")
@given(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), min_size=1, max_size=60))
def test_classification_agrees_with_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    gold, guesses = [gold for gold, _ in pairs], [guess for _, guess in pairs]
    found = score(COLOURS, coloured(gold), guesses)
    assert found["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(gold, guesses))
    assert found["macro_f1"] == pytest.approx(sklearn_metrics.f1_score(gold, guesses, average="macro", zero_division=0))
    assert found["mcc"] == pytest.approx(sklearn_metrics.matthews_corrcoef(gold, guesses), abs=1e-12)


quarters = st.integers(0, 20).map(lambda number: number / 4)


@given(st.lists(st.tuples(quarters, quarters), min_size=2, max_size=60).filter(lambda rows: len({row[0] for row in rows}) > 1))
def test_regression_agrees_with_scipy(pairs: list[tuple[float, float]]) -> None:
    gold, guesses = [gold for gold, _ in pairs], [guess for _, guess in pairs]
    found = score(LEVELS, scored(gold), guesses)
    if len(set(guesses)) == 1:
        assert found == {"spearman": 0.0, "pearson": 0.0}
    else:
        assert found["spearman"] == pytest.approx(stats.spearmanr(gold, guesses).statistic, abs=1e-9)
        assert found["pearson"] == pytest.approx(stats.pearsonr(gold, guesses).statistic, abs=1e-9)


@pytest.mark.filterwarnings("ignore:A single label was found")
@pytest.mark.parametrize(
    ("gold", "guesses"),
    [
        (["red"] * 9, ["red"] * 9),
        (["red"] * 9, ["green"] * 9),
        (["red"] * 9, ["red", "green", "blue"] * 3),
        (["red", "green", "blue"] * 3, ["blue"] * 9),
        (["red", "green"] * 5, ["green", "red"] * 5),
        (["red", "green"] * 5, ["red", "blue"] * 5),
        (["red"], ["red"]),
        (["red"], ["blue"]),
    ],
    ids=["one class", "one class, missed", "one class, all guessed", "constant", "all swapped", "never seen", "one row", "one row, missed"],
)
def test_degenerate_classification_agrees_with_scikit_learn(gold: list[str], guesses: list[str]) -> None:
    assert score(COLOURS, coloured(gold), guesses) == {
        "accuracy": pytest.approx(sklearn_metrics.accuracy_score(gold, guesses)),
        "macro_f1": pytest.approx(sklearn_metrics.f1_score(gold, guesses, average="macro", zero_division=0)),
        "mcc": pytest.approx(sklearn_metrics.matthews_corrcoef(gold, guesses), abs=1e-12),
    }


@pytest.mark.parametrize("num_labels", [2, 9])
def test_large_random_classification_agrees_with_scikit_learn(num_labels: int) -> None:
    rng = np.random.default_rng(num_labels)
    names = [f"label {number}" for number in range(num_labels)]
    task = Task(name="many", labels=[Label(name, "書く") for name in names], system="s")
    gold = rng.choice(names, size=5000, p=rng.dirichlet(np.full(num_labels, 0.5))).tolist()
    guesses = [label if rng.random() < 0.6 else str(rng.choice(names)) for label in gold]
    found = score(task, coloured(gold), guesses)
    assert found["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(gold, guesses), abs=1e-12)
    assert found["macro_f1"] == pytest.approx(sklearn_metrics.f1_score(gold, guesses, average="macro"), abs=1e-12)
    assert found["mcc"] == pytest.approx(sklearn_metrics.matthews_corrcoef(gold, guesses), abs=1e-12)


@pytest.mark.filterwarnings("ignore:An input array is constant", "ignore:An input array is nearly constant")
@pytest.mark.parametrize(
    ("gold", "guesses"),
    [
        ([0, 0, 5, 5], [1, 2, 1, 2]),
        ([0, 0, 0, 5], [1, 1, 1, 1 + 1e-9]),
        ([1, 2, 3, 4], [-4, -3, -2, -1]),
        ([1, 2, 3, 4], [4, 3, 2, 1]),
        ([0, 1], [1e6, -1e6]),
        ([1, 1, 2, 2, 3, 3] * 40, [3, 3, 3, 1, 1, 1] * 40),
    ],
    ids=["ties", "one row apart", "negative", "reversed", "two rows", "many ties"],
)
def test_degenerate_regression_agrees_with_scipy(gold: list[float], guesses: list[float]) -> None:
    assert score(LEVELS, scored([float(value) for value in gold]), guesses) == {
        "spearman": pytest.approx(stats.spearmanr(gold, guesses).statistic, abs=1e-9),
        "pearson": pytest.approx(stats.pearsonr(gold, guesses).statistic, abs=1e-6),
    }


def test_scipy_has_no_number_where_we_say_what_it_means() -> None:
    for correlation in (stats.spearmanr, stats.pearsonr):
        with pytest.warns(stats.ConstantInputWarning):
            found = correlation([0, 1, 2], [1, 1, 1]).statistic
        assert np.isnan(found)
    assert score(LEVELS, scored([0.0, 1.0, 2.0]), [1, 1, 1]) == {"spearman": 0.0, "pearson": 0.0}
    assert score(LEVELS, scored([1.0, 1.0, 1.0]), [0, 1, 2]) == {"spearman": None, "pearson": None}


counted_rows = st.lists(st.tuples(st.sampled_from([*NAMES, ""]), st.sampled_from(NAMES), st.integers(0, 3)), min_size=1, max_size=40)


@given(counted_rows.filter(lambda rows: any(count for *_, count in rows)), st.sampled_from(["accuracy", "macro_f1", "mcc"]))
def test_rows_counted_are_rows_repeated(rows: list[tuple[str, str, int]], metric: str) -> None:
    task, gold, guesses = replace(COLOURS, metric=metric), [row[1] for row in rows], [row[0] for row in rows]
    counts = np.array([[row[2] for row in rows], [1] * len(rows)], dtype=np.float32)
    repeated = [(label, guess) for guess, label, count in rows for _ in range(count)]
    found = counted_metric(task, coloured(gold), guesses)(counts)
    assert found[0] == pytest.approx(score(task, coloured([row[0] for row in repeated]), [row[1] for row in repeated])[metric], abs=1e-12)
    assert found[1] == pytest.approx(score(task, coloured(gold), guesses)[metric], abs=1e-12)


@given(
    st.lists(st.tuples(quarters, quarters, st.integers(0, 3)), min_size=1, max_size=40).filter(lambda rows: any(row[2] for row in rows)),
    st.sampled_from(["spearman", "pearson"]),
)
def test_numbers_counted_are_numbers_repeated(rows: list[tuple[float, float, int]], metric: str) -> None:
    task = replace(LEVELS, metric=metric)
    repeated = [(gold, guess) for gold, guess, count in rows for _ in range(count)]
    counts = np.array([[row[2] for row in rows]], dtype=np.float32)
    (found,) = counted_metric(task, scored([row[0] for row in rows]), [row[1] for row in rows])(counts)
    expected = score(task, scored([row[0] for row in repeated]), [row[1] for row in repeated])[metric]
    assert (None if np.isnan(found) else found) == (None if expected is None else pytest.approx(expected, abs=1e-9))


@given(st.integers(1, 30), st.integers(0, 12), st.integers(0, 5))
def test_resamples_have_as_many_rows_as_there_are(num_rows: int, num_resamples: int, seed: int) -> None:
    drawn = [np.concatenate([np.empty((0, num_rows)), *draw_counts(num_rows, num_resamples, seed)]) for _ in range(2)]
    assert drawn[0].shape == (num_resamples, num_rows)
    assert (drawn[0].sum(axis=1) == num_rows).all()
    assert (drawn[0] == drawn[1]).all()


def test_resamples_draw_every_row_alike() -> None:
    counts = np.concatenate(list(draw_counts(2500, 2000, 0)))
    assert len(counts) == 2000, "in several parts"
    assert np.corrcoef(counts[0], counts[1000])[0, 1] == pytest.approx(0, abs=0.1), "each part draws anew"
    assert counts.mean(axis=0) == pytest.approx(1, abs=0.15)
    assert counts.var() == pytest.approx(1, abs=0.01)


def test_constant_predictions_know_nothing() -> None:
    gold = ["red"] * 60 + ["green"] * 30
    found = evaluate(COLOURS, coloured(gold), ["red"] * 90)
    assert found["mcc"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert found["accuracy"] is not None
    assert found["accuracy"]["value"] == pytest.approx(2 / 3)
    values = np.random.default_rng(0).uniform(0, 5, size=50).tolist()
    nothing = {"value": 0.0, "low": 0.0, "high": 0.0}
    assert evaluate(LEVELS, scored(values), [0.1 + 0.2] * 50) == {"spearman": nothing, "pearson": nothing}


def test_what_gold_rows_cannot_measure_is_none() -> None:
    assert evaluate(LEVELS, scored([2.0] * 9), list(range(9))) == {"spearman": None, "pearson": None}
    assert evaluate(COLOURS, [], []) == {"accuracy": None, "macro_f1": None, "mcc": None}
    assert evaluate(LEVELS, [], []) == {"spearman": None, "pearson": None}


def test_an_answer_that_is_no_label_is_wrong_but_no_class_of_its_own() -> None:
    gold = ["red", "red", "green", "green"]
    found = score(COLOURS, coloured(gold), ["red", "", "green", "I can't say"])
    assert found["accuracy"] == 0.5
    assert found["macro_f1"] == pytest.approx(2 / 3)
    other = [guess if guess in NAMES else "other" for guess in ["red", "", "green", "I can't say"]]
    assert found["mcc"] == pytest.approx(sklearn_metrics.matthews_corrcoef(gold, other))


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_intervals_hold_the_value_and_are_reproducible(seed: int) -> None:
    rng = np.random.default_rng(seed)
    gold = rng.choice(NAMES, size=300).tolist()
    guesses = [label if rng.random() < 0.7 else str(rng.choice(NAMES)) for label in gold]
    values = rng.uniform(0, 5, size=300)
    for task, rows, predictions in [
        (COLOURS, coloured(gold), guesses),
        (LEVELS, scored(values.tolist()), (values + rng.normal(size=300)).tolist()),
    ]:
        first = evaluate(task, rows, predictions, seed=1, num_resamples=200)
        assert first == evaluate(task, rows, predictions, seed=1, num_resamples=200)
        assert first != evaluate(task, rows, predictions, seed=2, num_resamples=200)
        for found in first.values():
            assert found is not None
            assert found["low"] < found["value"] < found["high"]


def test_intervals_are_those_of_resampled_rows() -> None:
    """Against scipy's own bootstrap: the multinomial shortcut and the ranked chunks change nothing but the draws."""
    rng = np.random.default_rng(0)
    gold = rng.choice(NAMES, size=400, p=[0.6, 0.3, 0.1]).tolist()
    guesses = [label if rng.random() < 0.8 else "red" for label in gold]
    values = rng.uniform(0, 5, size=400)
    noisy = values + rng.normal(size=400)
    found = evaluate(COLOURS, coloured(gold), guesses, num_resamples=4000)["macro_f1"]
    assert found is not None
    codes, guessed = (np.array([NAMES.index(name) for name in names]) for names in (gold, guesses))
    check_interval(found, codes, guessed, lambda truth, guess: sklearn_metrics.f1_score(truth, guess, average="macro"))
    found = evaluate(LEVELS, scored(values.tolist()), noisy.tolist(), num_resamples=4000)["spearman"]
    assert found is not None
    check_interval(found, values, noisy, lambda truth, guess: stats.spearmanr(truth, guess).statistic)


def in_clusters(rows: list[Example], size: int) -> list[Example]:
    """The rows, `size` in a row belonging together."""
    return [replace(row, cluster=f"picture {number // size}") for number, row in enumerate(rows)]


@pytest.mark.parametrize("size", [1, 4])
def test_clusters_are_drawn_whole(size: int) -> None:
    clusters = clusters_of(in_clusters(coloured(["red"] * 12), size))
    assert clusters is not None
    counts = np.concatenate(list(draw_counts(12, 500, 0, clusters)))
    assert counts.shape == (500, 12)
    assert (counts.sum(axis=1) == 12).all()
    by_cluster = counts.reshape(500, 12 // size, size)
    assert (by_cluster == by_cluster[:, :, :1]).all(), "all rows of a cluster, or none"
    assert (np.concatenate(list(draw_counts(12, 500, 0))) == counts).all() == (size == 1)


def test_rows_without_a_cluster_are_by_themselves() -> None:
    rows = [Example((), "red", cluster=cluster) for cluster in ("p", "", "p", "q", "")]
    assert clusters_of(rows) is not None
    assert clusters_of(rows).tolist() == [0, 1, 0, 2, 3]
    assert count_clusters(rows) == 4
    assert (clusters_of(coloured(["red"] * 3)), count_clusters(coloured(["red"] * 3)), count_clusters([])) == (None, 3, 0)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "mcc", "spearman", "pearson", "ece"])
def test_every_row_four_times_tells_no_more(metric: str) -> None:
    """In clusters of four equal rows intervals are those of the rows once; by rows they would be half as wide."""
    rng = np.random.default_rng(3)
    gold, values = rng.choice(NAMES, size=150).tolist(), rng.uniform(0, 5, size=150)
    guesses = [label if rng.random() < 0.7 else "red" for label in gold]
    is_regression = metric in ("spearman", "pearson")
    rows = scored(values.tolist()) if is_regression else coloured(gold)
    answers: list[Any] = (values + rng.normal(size=150)).tolist() if is_regression else guesses

    def width(rows: list[Example], times: int) -> float:
        if metric == "ece":
            probabilities = np.array([[0.9 if name == guess else 0.05 for name in NAMES] for guess in guesses])
            found = calibration_error(COLOURS, rows, np.repeat(probabilities, times, axis=0))
        else:
            found = evaluate(LEVELS if is_regression else COLOURS, rows, np.repeat(answers, times).tolist())[metric]
        assert found is not None
        return found["high"] - found["low"]

    four = [row for row in rows for _ in range(4)]
    assert width(in_clusters(four, 4), 4) == pytest.approx(width(rows, 1), rel=0.15)
    assert width(four, 4) == pytest.approx(width(rows, 1) / 2, rel=0.15)


def test_intervals_of_clusters_hold_the_truth_where_rows_are_alike() -> None:
    """Pairs of rows with 80% of their difficulty in common: rows drawn one by one are too sure."""
    rng, held, num_rows = np.random.default_rng(8), {True: 0, False: 0}, 600
    for _ in range(400):
        common = np.repeat(rng.normal(size=num_rows // 2), 2)
        right = 0.8 + np.sqrt(0.8) * common + np.sqrt(0.2) * rng.normal(size=num_rows) > 0
        rows, guesses = coloured(["red"] * num_rows), np.where(right, "red", "blue").tolist()
        for is_clustered in held:
            found = evaluate(COLOURS, in_clusters(rows, 2) if is_clustered else rows, guesses, num_resamples=300)["accuracy"]
            assert found is not None
            held[is_clustered] += found["low"] <= stats.norm.cdf(0.8) <= found["high"]
    assert held[True] >= 400 * 0.92
    assert held[False] <= 400 * 0.90


def check_interval(found: dict[str, float], truth: np.ndarray, guess: np.ndarray, metric: object) -> None:
    expected = stats.bootstrap(
        (truth, guess), metric, paired=True, vectorized=False, n_resamples=1000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval  # fmt: skip
    assert found["low"] == pytest.approx(expected.low, abs=0.01)
    assert found["high"] == pytest.approx(expected.high, abs=0.01)


def test_faults_are_refused() -> None:
    with pytest.raises(ValueError, match="2 predictions for 1 gold rows"):
        evaluate(COLOURS, coloured(["red"]), ["red", "red"])
    with pytest.raises(ValueError, match="gold label 'pink' is not one of task 'colours': red, green, blue"):
        evaluate(COLOURS, coloured(["pink"]), ["red"])
    with pytest.raises(ValueError, match="prediction 1 is not a finite number"):
        evaluate(LEVELS, scored([1.0, 2.0]), [1.0, float("nan")])
    with pytest.raises(ValueError, match="2 predictions for 1 gold rows"):
        counted_metric(COLOURS, coloured(["red"]), ["red", "red"])


def by_loop(gold: list[str], probabilities: np.ndarray, num_bins: int) -> float:
    """Guo et al. 2017, equation 3, row by row."""
    total = 0.0
    for number in range(num_bins):
        low, high = number / num_bins, (number + 1) / num_bins
        rows = [place for place, row in enumerate(probabilities) if low < max(row) <= high]
        right = sum(NAMES[int(np.argmax(probabilities[place]))] == gold[place] for place in rows)
        total += abs(right - sum(max(probabilities[place]) for place in rows))
    return total / len(gold)


@given(st.integers(0, 2**32 - 1), st.sampled_from([10, 15]), st.integers(1, 80), st.sampled_from([0.1, 1.0, 20.0]))
def test_the_calibration_error_is_that_of_a_plain_loop(seed: int, num_bins: int, num_rows: int, flatness: float) -> None:
    rng = np.random.default_rng(seed)
    gold = rng.choice(NAMES, size=num_rows).tolist()
    probabilities = rng.dirichlet(np.full(3, flatness), size=num_rows)
    found = calibration_error(COLOURS, coloured(gold), probabilities, num_resamples=0, num_bins=num_bins)
    expected = pytest.approx(by_loop(gold, probabilities, num_bins))
    assert found == {"value": expected, "low": expected, "high": expected}


@pytest.mark.parametrize(
    ("gold", "row", "expected"),
    [
        (["red"] * 8, [1.0, 0.0, 0.0], 0.0),
        (["red"] * 8, [0.0, 1.0, 0.0], 1.0),
        (["red"] * 8, [0.75, 0.25, 0.0], 0.25),
        (["red"] * 6 + ["green"] * 2, [0.75, 0.25, 0.0], 0.0),
        (["red"] * 6 + ["green"] * 2, [1.0, 0.0, 0.0], 0.25),
        (["red", "green", "blue"], [1 / 3, 1 / 3, 1 / 3], 0.0),
        (["blue"], [0.1, 0.3, 0.6], 0.4),
    ],
    ids=["certain, right", "certain, wrong", "one class", "constant, calibrated", "constant, certain", "uniform", "one row"],
)
def test_calibration_of_degenerate_predictions(gold: list[str], row: list[float], expected: float) -> None:
    found = calibration_error(COLOURS, coloured(gold), np.array([row] * len(gold), dtype=np.float32))
    assert found is not None
    assert found["value"] == pytest.approx(expected, abs=1e-6)
    assert 0 <= found["low"] <= found["high"] <= 1
    if len(set(gold)) == 1:
        assert (found["low"], found["high"]) == (found["value"], found["value"])


def test_calibration_is_for_classification_with_gold_rows() -> None:
    assert calibration_error(LEVELS, scored([1.0, 2.0]), np.array([[1.0], [2.0]])) is None
    assert calibration_error(COLOURS, [], np.empty((0, 3))) is None


def test_intervals_of_the_calibration_error_hold_the_true_one() -> None:
    """Right with probability p - 0.1 where p is said; and as often as said. A perfect classifier's value is off by chance alone."""
    for excess, least in ((0.1, 0.85), (0.0, 0.7)):
        held = 0
        for seed in range(100):
            rng = np.random.default_rng(seed)
            top = rng.uniform(0.6, 1.0, size=1000)
            gold = np.where(rng.random(1000) < top - excess, "red", "green").tolist()
            found = calibration_error(COLOURS, coloured(gold), np.stack([top, 1 - top, 0 * top], axis=1), num_resamples=200)
            assert found is not None
            assert found == calibration_error(COLOURS, coloured(gold), np.stack([top, 1 - top, 0 * top], axis=1), num_resamples=200)
            assert found["low"] <= found["value"] <= found["high"]
            held += found["low"] <= excess <= found["high"]
        assert held >= 100 * least, (excess, held)


def test_what_is_no_distribution_is_refused() -> None:
    rows = coloured(["red", "green"])
    with pytest.raises(ValueError, match=r"probabilities of shape \(2, 2\) for 2 gold rows and 3 labels"):
        calibration_error(COLOURS, rows, np.full((2, 2), 0.5))
    for wrong in ([0.5, 0.2, 0.2], [1.2, -0.1, -0.1], [float("nan"), 0.5, 0.5]):
        with pytest.raises(ValueError, match="probabilities of row 1 are below 0 or don't sum to 1"):
            calibration_error(COLOURS, rows, np.array([[0.5, 0.25, 0.25], wrong]))
    with pytest.raises(ValueError, match="gold label 'pink'"):
        calibration_error(COLOURS, coloured(["pink"]), np.array([[0.5, 0.25, 0.25]]))


def test_outputs_become_predictions() -> None:
    assert decide(COLOURS, np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]], dtype=np.float32)) == ["blue", "red"]
    assert decide(LEVELS, np.array([[1.5], [4.25]], dtype=np.float32)) == [1.5, 4.25]
    assert gold_value(LEVELS, Example(("あ", "い"), "3")) == 3.0
    assert gold_value(LEVELS, Example(("あ", "い"), "3", score=2.8)) == 2.8


def test_intervals_of_a_large_split_take_seconds() -> None:
    rng = np.random.default_rng(0)
    values = rng.uniform(0, 5, size=5000)
    start = time.process_time()
    evaluate(LEVELS, scored(values.tolist()), (values + rng.normal(size=5000)).tolist())
    assert time.process_time() - start < 20


def test_labels_that_are_never_predicted_count_as_zero() -> None:
    task = Task(name="many", labels=[Label(f"intent {number}", "x") for number in range(77)], system="s")
    gold, guesses = coloured([label.name for label in task.labels] * 2), ["intent 0"] * 154
    found = score(task, gold, guesses)
    assert found["accuracy"] == pytest.approx(1 / 77)
    assert found["macro_f1"] == pytest.approx(2 / 78 / 77)
    assert found["mcc"] == 0
    interval = evaluate(task, gold, guesses)["macro_f1"]
    assert interval is not None
    assert interval["low"] <= interval["value"] <= interval["high"]
