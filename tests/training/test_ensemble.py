import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from japagen.training.ensemble import Ensemble

NUM = 20
"""Rows of each of two labels: more than the fewest of a label that must count."""


def ensemble(
    momentum: float = 0.8, threshold: float = 0.8, targets: np.ndarray | None = None, weights: np.ndarray | None = None
) -> Ensemble:
    return Ensemble(np.repeat([0, 1], NUM) if targets is None else targets, weights, 2, momentum, threshold)


def saying(first: list[float]) -> torch.Tensor:
    """Predictions of two labels, by the first one's probability."""
    return torch.tensor([[value, 1 - value] for value in first])


RIGHT = [0.95] * NUM + [0.05] * NUM


@given(st.floats(0.1, 0.95), st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_the_mean_is_laine_and_ailas_moving_average_corrected_for_its_start(momentum: float, told: list[float]) -> None:
    found, total = ensemble(momentum), 0.0
    for num, value in enumerate(told, start=1):
        found.update(saying([value] * 2 * NUM))
        total = momentum * total + (1 - momentum) * value
        assert found.mean[0].tolist() == pytest.approx([total / (1 - momentum**num), 1 - total / (1 - momentum**num)], abs=1e-4)


def test_before_the_first_prediction_all_rows_count_and_nothing_pulls() -> None:
    found = ensemble()
    assert (found.weights.tolist(), found.kept) == ([1.0] * 2 * NUM, 1.0)
    assert found.penalties(torch.randn(3, 2), torch.tensor([0, 5, 30])).tolist() == [0, 0, 0]


def test_rows_under_the_threshold_are_left_out_and_come_back() -> None:
    found = ensemble(momentum=0.5)
    found.update(saying([0.1, 0.79, 0.81, *RIGHT[3:]]))
    assert found.weights[:4].tolist() == pytest.approx([0, 0, 40 / 38, 40 / 38])
    assert found.weights.mean() == pytest.approx(1)
    assert found.kept == pytest.approx(38 / 40)
    found.update(saying(RIGHT))
    assert (found.weights[0] == 0, found.weights[1] > 0) == (True, True)
    for _ in range(4):
        found.update(saying(RIGHT))
    assert found.kept == 1


def test_a_threshold_of_zero_leaves_nothing_out() -> None:
    found = ensemble(threshold=0.0)
    found.update(saying(RIGHT[::-1]))
    assert found.kept == 1


def test_of_a_label_that_is_lost_the_likelier_half_counts() -> None:
    found = ensemble()
    first = [0.1 + place / 100 for place in range(NUM)]
    found.update(saying([*first, *RIGHT[NUM:]]))
    assert (found.weights > 0).tolist() == [False] * (NUM // 2) + [True] * (NUM // 2 + NUM)


def test_rows_without_weight_are_not_the_half_that_counts() -> None:
    weights = np.array([0.0] * (NUM - 1) + [2.0] * (NUM + 1), dtype=np.float32)
    found = ensemble(weights=weights / weights.mean())
    found.update(saying([0.5] * NUM + RIGHT[NUM:]))
    assert (found.weights > 0).tolist() == (weights > 0).tolist()


def test_weights_among_the_rows_left_keep_their_proportions() -> None:
    weights = np.array([1.0, 3.0] * NUM, dtype=np.float32) / 2
    found = ensemble(weights=weights)
    found.update(saying([0.1, *RIGHT[1:]]))
    assert found.weights[0] == 0
    assert (found.weights[3] / found.weights[2]).item() == pytest.approx(3)
    assert found.weights.mean() == pytest.approx(1)


def test_a_soft_rows_threshold_is_a_part_of_what_its_likeliest_label_has() -> None:
    targets = np.array([[0.6, 0.4]] * NUM + [[0.0, 1.0]] * NUM, dtype=np.float32)
    found = ensemble(targets=targets)
    found.update(saying([0.47, 0.49, *[0.6] * (NUM - 2), *RIGHT[NUM:]]))
    assert (found.weights > 0).tolist() == [False] + [True] * (2 * NUM - 1)


def test_the_pull_is_towards_the_mean_and_grows_to_supergens_weight() -> None:
    found, places = ensemble(momentum=0.5), torch.tensor([0])
    for num in range(1, 13):
        found.update(saying([0.9] * 2 * NUM))
        assert found.penalty.item() == pytest.approx(10 * math.exp(-5 * (1 - min(num / 10, 1)) ** 2))
    same = torch.tensor([[math.log(9), 0.0]], requires_grad=True)
    assert found.penalties(same, places).item() == pytest.approx(0, abs=1e-5)
    apart = torch.zeros(1, 2, requires_grad=True)
    expected = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    assert found.penalties(apart, places).item() == pytest.approx(10 * expected, rel=1e-4)
    found.penalties(apart, places).sum().backward()
    assert apart.grad is not None
    assert apart.grad[0, 0] < 0 < apart.grad[0, 1]


def test_its_state_is_its_buffers() -> None:
    first, second = ensemble(), ensemble()
    first.update(saying([0.3, *RIGHT[1:]]))
    second.load_state_dict(first.state_dict())
    for one in (first, second):
        one.update(saying([0.9, *RIGHT[1:]]))
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in first.state_dict().items())
