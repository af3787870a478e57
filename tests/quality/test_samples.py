"""Samples and their summaries against numpy and scipy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from japagen.quality.samples import draw, ks_distance, summarise

NUMBERS = st.lists(st.integers(0, 30), min_size=1, max_size=40)


@pytest.mark.filterwarnings("ignore:divide by zero")  # in the p-value, which isn't ours
@given(NUMBERS, NUMBERS)
def test_the_distance_is_scipys(values: list[int], others: list[int]) -> None:
    found = ks_distance(values, others)
    assert found is not None
    assert abs(found - ks_2samp(values, others, method="asymp").statistic) < 1e-12


def test_without_values_there_is_no_distance_and_no_summary() -> None:
    assert ks_distance([], [1]) is None
    assert ks_distance([1], []) is None
    assert summarise([]) is None


def test_a_summary_says_of_how_many() -> None:
    found = summarise([1, 2, 3, 6])
    assert found is not None
    quantiles = found.pop("quantiles")
    assert found == {"n": 4, "mean": 3.0, "sd": pytest.approx(3.5**0.5)}
    assert (quantiles["0"], quantiles["0.5"], quantiles["1"]) == (1.0, 2.5, 6.0)
    assert quantiles["0.05"] == pytest.approx(1.15)


@given(st.lists(st.integers(), unique=True), st.integers(0, 20))
def test_a_draw_is_seeded_nested_and_of_different_rows(rows: list[int], num: int) -> None:
    drawn = draw(rows, num)
    assert drawn == draw(rows, num) == draw(rows, num + 5)[:num]
    assert len(drawn) == min(num, len(rows)) == len(set(drawn) & set(rows))
