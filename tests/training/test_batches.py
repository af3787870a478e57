import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.config.schema import Train
from japagen.training.batches import Schedule, by_length, length_grouped, num_steps, unvalidated, validated

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
    train = Train(epochs=epochs, batch_size=size, validations_per_epoch=validations, min_steps=0)
    schedule = validated(widths, train, seed)
    assert schedule.ends == tuple(sorted(set(schedule.ends)))
    assert len(schedule.ends) == epochs * min(validations, schedule.steps_per_epoch)
    assert {epoch * schedule.steps_per_epoch for epoch in range(1, epochs + 1)} <= set(schedule.ends)
    expected = [batch for epoch in range(epochs) for batch in length_grouped(widths, size, seed, epoch)]
    assert _walk(schedule) == expected


@given(lengths, sizes, seeds, st.integers(1, 1200))
def test_a_number_of_steps_takes_the_same_batches(widths: list[int], size: int, seed: int, steps: int) -> None:
    schedule = unvalidated(widths, Train(batch_size=size, steps=steps), seed)
    batches = _walk(schedule)
    assert len(batches) == steps == schedule.num_steps
    assert batches[: schedule.steps_per_epoch] == length_grouped(widths, size, seed, 0)[:steps]


@pytest.mark.parametrize(
    ("settings", "num_rows", "expected"),
    [
        ({"epochs": 4, "min_steps": 400}, 100, 400),
        ({"epochs": 4, "min_steps": 400}, 32 * 150, 600),
        ({"epochs": 4, "min_steps": 0}, 33, 8),
        ({"epochs": 4, "min_steps": 400, "steps": 7}, 32 * 150, 7),
    ],
)
def test_all_arms_take_as_many_steps_with_and_without_validation_rows(settings: dict[str, int], num_rows: int, expected: int) -> None:
    train, widths = Train(batch_size=32, **settings), [3] * num_rows
    assert num_steps(train, num_rows) == validated(widths, train, 0).num_steps == unvalidated(widths, train, 0).num_steps == expected


def test_few_rows_are_validated_as_often_as_many() -> None:
    assert validated([3] * 40, Train(epochs=4, batch_size=4, validations_per_epoch=2, min_steps=400), 0).ends == tuple(range(50, 401, 50))
    assert validated([3] * 40, Train(epochs=4, batch_size=4, steps=3), 0).ends == (1, 2, 3)


def test_a_stretch_can_be_entered_in_its_middle() -> None:
    schedule = validated([3] * 40, Train(epochs=2, batch_size=4, validations_per_epoch=2, min_steps=0), 0)
    assert schedule.ends == (5, 10, 15, 20)
    assert schedule.following(7) == schedule.following(5)[2:]
    assert schedule.following(20) == []


def _walk(schedule: Schedule) -> list[list[int]]:
    batches: list[list[int]] = []
    for start in (0, *schedule.ends):
        batches += schedule.following(start)
    return batches
