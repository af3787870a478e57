"""Noise rates and kappa: against scipy, scikit-learn and the published variance, by hand for strata, and where nothing varies."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score

from japagen.evaluation.label_noise import Z, covered_share, disagreement, kappa, noise_by_label

MANY = 10**9
"""Rows of a label of which a sample is next to nothing."""


def labels(*counts: tuple[str, int]) -> list[str]:
    return [label for label, num in counts for _ in range(num)]


def test_one_label_is_wilsons_interval() -> None:
    given, found = labels(("a", 60)), labels(("b", 4), ("a", 56))
    estimate = noise_by_label(given, found, {"a": MANY, "b": 5})["a"]
    interval = binomtest(4, 60).proportion_ci(method="wilson")
    assert (estimate.value, estimate.num) == (4 / 60, 60)
    assert (estimate.low, estimate.high) == pytest.approx((interval.low, interval.high), abs=1e-6)


def test_labels_without_sampled_rows_are_left_out_and_said_to_be() -> None:
    population = {"a": 30, "b": 10}
    assert list(noise_by_label(["a"], ["b"], population)) == ["a"]
    assert covered_share(["a"], population) == 0.75
    assert disagreement([], [], [], population) is None
    assert kappa([], [], [], population) is None


def test_rates_are_weighted_by_the_data_set_and_not_by_the_sample() -> None:
    given, found = labels(("a", 50), ("b", 50)), labels(("a", 45), ("b", 5), ("a", 20), ("b", 30))
    estimate = disagreement(given, given, found, {"a": 9 * MANY, "b": MANY})
    assert estimate is not None
    assert estimate.value == pytest.approx(0.9 * 0.1 + 0.1 * 0.4)
    variance = 0.81 * 0.1 * 0.9 / 49 + 0.01 * 0.4 * 0.6 / 49
    size = estimate.value * (1 - estimate.value) / variance
    half = Z * math.sqrt(estimate.value * (1 - estimate.value) / size + Z**2 / (4 * size**2)) / (1 + Z**2 / size)
    assert estimate.high - estimate.low == pytest.approx(2 * half)


def test_of_a_data_set_labelled_whole_nothing_is_left_to_estimate() -> None:
    given, found = labels(("a", 10), ("b", 10)), labels(("a", 9), ("b", 11))
    population = {"a": 10, "b": 10}
    for estimate in (noise_by_label(given, found, population)["a"], disagreement(given, given, found, population)):
        assert estimate is not None
        assert (estimate.low, estimate.high) == pytest.approx((estimate.value, estimate.value))


def test_where_no_row_differs_the_interval_keeps_its_width() -> None:
    given = labels(("a", 40), ("b", 40))
    estimate = disagreement(given, given, given, {"a": MANY, "b": MANY})
    assert estimate is not None
    assert (estimate.value, estimate.low) == (0.0, 0.0)
    assert estimate.high == pytest.approx(binomtest(0, 80).proportion_ci(method="wilson").high, abs=1e-6)
    agreed = kappa(given, given, given, {"a": MANY, "b": MANY})
    assert agreed is not None
    assert agreed.value == agreed.high == 1.0
    assert 0.8 < agreed.low < 1.0


def drawn(num: int, seed: int) -> tuple[Sequence[str], Sequence[str]]:
    generator = np.random.default_rng(seed)
    first = generator.choice(["a", "b", "c"], num, p=[0.5, 0.3, 0.2])
    second = np.where(generator.random(num) < 0.2, generator.choice(["a", "b", "c"], num), first)
    return first.tolist(), second.tolist()


def test_kappa_is_scikit_learns() -> None:
    first, second = drawn(300, 0)
    found = kappa(["a"] * 300, first, second, {"a": MANY})
    assert found is not None
    assert found.value == pytest.approx(cohen_kappa_score(first, second))
    assert found.low < found.value < found.high


def test_kappas_interval_has_the_published_variance() -> None:
    """Fleiss, Cohen and Everitt (1969), equation 13, of one stratum."""
    num = 20_000
    first, second = drawn(num, 1)
    names = ["a", "b", "c"]
    table = np.array([[sum(pair == (row, column) for pair in zip(first, second, strict=True)) for column in names] for row in names]) / num
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    agreement, chance = table.trace(), rows @ columns
    own = sum(table[i, i] * ((1 - chance) - (rows[i] + columns[i]) * (1 - agreement)) ** 2 for i in range(3))
    other = (1 - agreement) ** 2 * sum(table[i, j] * (columns[i] + rows[j]) ** 2 for i in range(3) for j in range(3) if i != j)
    variance = (own + other - (agreement * chance - 2 * chance + agreement) ** 2) / (num * (1 - chance) ** 4)
    found = kappa(["x"] * num, first, second, {"x": MANY})
    assert found is not None
    assert found.high - found.low == pytest.approx(2 * Z * math.sqrt(variance), rel=0.01)


def test_kappa_of_people_who_know_one_label_only_is_nothing() -> None:
    assert kappa(["a", "b"], ["a", "a"], ["a", "a"], {"a": 5, "b": 5}) is None


def test_a_label_with_one_sampled_row_takes_the_spread_of_all() -> None:
    given, found = labels(("a", 20), ("b", 1)), labels(("b", 4), ("a", 16), ("b", 1))
    estimate = disagreement(given, given, found, {"a": MANY, "b": MANY})
    assert estimate is not None
    assert estimate.value == pytest.approx(0.1)
    assert estimate.high > 0.5, "half of the data set rests on a single row"
