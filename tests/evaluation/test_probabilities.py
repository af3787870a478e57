"""NLL, Brier score and the debiased calibration error: against plain loops, scikit-learn, and what is true in simulations."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from japagen.evaluation.metrics import calibration_error
from japagen.evaluation.probabilities import probability_scores, squared_error
from japagen.tasks import Example, Label, Task

COLOURS = Task(name="colours", labels=[Label(name, "書く") for name in ("red", "green", "blue")], system="s")
TWO = Task(name="two", labels=[Label(name, "書く") for name in ("yes", "no")], system="s")


def rows_of(labels: list[str]) -> list[Example]:
    return [Example(("文",), label) for label in labels]


def value_of(scores: dict[str, dict[str, float] | None], name: str) -> float:
    found = scores[name]
    assert found is not None
    assert found["low"] <= found["value"] <= found["high"]
    return found["value"]


def test_nll_and_brier_are_those_of_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    labels = rng.choice(COLOURS.label_names, size=60).tolist()
    probabilities = rng.dirichlet(np.ones(3), size=60)
    found = probability_scores(COLOURS, rows_of(labels), probabilities, num_resamples=50)
    assert value_of(found, "nll") == pytest.approx(log_loss(labels, probabilities[:, [2, 1, 0]], labels=["blue", "green", "red"]))
    brier = [
        sum((p - (name == label)) ** 2 for p, name in zip(row, COLOURS.label_names, strict=True))
        for row, label in zip(probabilities, labels, strict=True)
    ]
    assert value_of(found, "brier") == pytest.approx(np.mean(brier))
    assert found == probability_scores(COLOURS, rows_of(labels), probabilities, num_resamples=50)


def test_known_values() -> None:
    uniform = probability_scores(TWO, rows_of(["yes", "no"]), np.full((2, 2), 0.5))
    assert (value_of(uniform, "nll"), value_of(uniform, "brier")) == pytest.approx((np.log(2), 0.5))
    certain = probability_scores(TWO, rows_of(["yes", "no"]), np.eye(2))
    assert (value_of(certain, "nll"), value_of(certain, "brier")) == pytest.approx((0, 0), abs=1e-6)
    wrong = probability_scores(TWO, rows_of(["no", "yes"]), np.eye(2))
    assert value_of(wrong, "brier") == 2
    assert value_of(wrong, "nll") == pytest.approx(-np.log(1e-7)), "a probability that was rounded to 0 is no infinity"


def test_nothing_is_scored_for_a_regression_or_without_rows() -> None:
    levels = Task(name="levels", target="regression", metric="spearman", labels=[Label("1", "書く", score=1.0)], system="s")
    assert set(probability_scores(levels, rows_of(["1"]), np.array([[1.0]])).values()) == {None}
    assert set(probability_scores(COLOURS, [], np.empty((0, 3))).values()) == {None}
    with pytest.raises(ValueError, match="probabilities of row 1 are below 0 or don't sum to 1"):
        probability_scores(TWO, rows_of(["yes", "no"]), np.array([[0.5, 0.5], [0.9, 0.9]]))


def simulated(rng: np.random.Generator, num: int, excess: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of three labels' top answers, and whether these are right: as often as stated less `excess`."""
    top = rng.uniform(0.34 + excess, 1.0, size=num)
    return top, rng.random(num) < top - excess


def test_a_calibrated_classifier_has_no_error_on_average_where_its_ece_is_009() -> None:
    """The simulation by which this estimate was chosen: 120 rows, as a small test set has."""
    rng, debiased, ece = np.random.default_rng(0), [], []
    for number in range(1500):
        top, right = simulated(rng, 120, 0.0)
        debiased.append(squared_error(right, top))
        if number < 150:
            probabilities = np.stack([top, (1 - top) / 2, (1 - top) / 2], axis=1)
            gold = rows_of(["red" if hit else "green" for hit in right])
            found = calibration_error(COLOURS, gold, probabilities, num_resamples=0)
            assert found is not None
            ece.append(found["value"])
    assert np.mean(ece) == pytest.approx(0.09, abs=0.02)
    assert np.mean(debiased) == pytest.approx(0, abs=3 * np.std(debiased) / len(debiased) ** 0.5)
    assert abs(np.mean(debiased)) < 0.001


@pytest.mark.parametrize("excess", [0.1, 0.3])
def test_an_overconfident_classifier_has_its_own_error_on_average(excess: float) -> None:
    rng = np.random.default_rng(1)
    found = [squared_error(right, top) for top, right in (simulated(rng, 120, excess) for _ in range(1500))]
    assert np.mean(found) == pytest.approx(excess**2, abs=0.0015)


def test_its_interval_holds_the_truth() -> None:
    rng, held = np.random.default_rng(2), 0
    for _ in range(100):
        top, right = simulated(rng, 400, 0.15)
        probabilities = np.stack([top, (1 - top) / 2, (1 - top) / 2], axis=1)
        gold = rows_of(["red" if hit else "green" for hit in right])
        found = probability_scores(COLOURS, gold, probabilities, num_resamples=200)["squared_calibration_error"]
        assert found is not None
        held += found["low"] <= 0.15**2 <= found["high"]
    assert held >= 85


def test_one_row_in_a_bin_says_nothing() -> None:
    assert squared_error(np.array([1.0, 0.0]), np.array([0.4, 0.9])) == 0
    assert squared_error(np.array([0.0] * 4), np.array([1.0] * 4)) == 1
