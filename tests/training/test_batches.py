import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from japagen.training.batches import Schedule, by_length, fixed, length_grouped, validated

lengths = st.lists(st.integers(1, 60), min_size=1, max_size=400)
sizes = st.integers(1, 33)
seeds = st.integers(0, 2**32 - 1)


@given(lengths, sizes, seeds, st.integers(0, 5))
def test_each_row_comes_once_an_epoch_and_the_order_is_a_function_of_seed_and_epoch(
    widths: list[int], size: int, seed: int, epoch: int
) -> None:
    batches = length_grouped(widths, size, seed, epoch)
    assert sorted(place for batch in batches for place in batch) == list(range(len(widths)))
    assert max(map(len, batches)) <= size
    assert len(batches) == -(-len(widths) // size)
    assert batches == length_grouped(widths, size, seed, epoch)


def test_epochs_and_seeds_differ() -> None:
    widths = [1, 2, 3, 4] * 50
    orders = [length_grouped(widths, 8, seed, epoch) for seed, epoch in [(0, 0), (0, 1), (1, 0)]]
    assert len({str(order) for order in orders}) == 3


def test_grouping_leaves_little_padding() -> None:
    widths = np.random.default_rng(0).integers(5, 100, size=3000)

    def padded(batches: list[list[int]]) -> int:
        return sum(len(batch) * widths[batch].max() for batch in batches)

    unsorted = [list(range(start, start + 32)) for start in range(0, 2976, 32)]
    assert padded(length_grouped(widths.tolist(), 32, 0, 0)) < 1.1 * widths.sum()
    assert padded(unsorted) > 1.6 * widths.sum()


@given(lengths, sizes)
def test_predictions_see_each_row_once_shortest_first(widths: list[int], size: int) -> None:
    order = [place for batch in by_length(widths, size) for place in batch]
    assert sorted(order) == list(range(len(widths)))
    assert [widths[place] for place in order] == sorted(widths)


@given(lengths, sizes, seeds, st.integers(1, 4), st.integers(1, 5))
def test_stretches_put_together_are_the_epochs(widths: list[int], size: int, seed: int, epochs: int, validations: int) -> None:
    schedule = validated(widths, size, seed, epochs, validations)
    assert schedule.ends == tuple(sorted(set(schedule.ends)))
    assert len(schedule.ends) == epochs * min(validations, schedule.steps_per_epoch)
    assert {epoch * schedule.steps_per_epoch for epoch in range(1, epochs + 1)} <= set(schedule.ends)
    expected = [batch for epoch in range(epochs) for batch in length_grouped(widths, size, seed, epoch)]
    assert _walk(schedule) == expected


@given(lengths, sizes, seeds, st.integers(1, 1200))
def test_a_fixed_number_of_steps_takes_the_same_batches(widths: list[int], size: int, seed: int, num_steps: int) -> None:
    schedule = fixed(widths, size, seed, num_steps)
    batches = _walk(schedule)
    assert len(batches) == num_steps == schedule.num_steps
    assert batches[: schedule.steps_per_epoch] == length_grouped(widths, size, seed, 0)[:num_steps]


def test_a_stretch_can_be_entered_in_its_middle() -> None:
    schedule = validated([3] * 40, 4, 0, 2, 2)
    assert schedule.ends == (5, 10, 15, 20)
    assert schedule.following(7) == schedule.following(5)[2:]
    assert schedule.following(20) == []


def _walk(schedule: Schedule) -> list[list[int]]:
    batches: list[list[int]] = []
    for start in (0, *schedule.ends):
        batches += schedule.following(start)
    return batches
