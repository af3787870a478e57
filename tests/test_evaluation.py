import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sklearn_metrics

from japagen.evaluation import decide, evaluate, gold_value, score
from japagen.tasks import Example, Label, Task

NAMES = ["red", "green", "blue"]
COLOURS = Task(name="colours", labels=[Label(name, "書く") for name in NAMES], system="s")
LEVELS = Task(
    name="levels", kind="pair", target="regression", metric="spearman", system="s",
    labels=[Label(str(level), "書く", score=float(level)) for level in range(6)],
)  # fmt: skip


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
