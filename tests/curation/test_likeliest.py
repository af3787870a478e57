"""Selection by mean log-probability: how many stay, which, and in which order."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.curation.likeliest import keep_likeliest
from japagen.errors import GenerationError
from japagen.tasks import Example, Label, Task

TOPICS = Task(name="topics", labels=[Label(name, "書く") for name in ("sport", "food")], system="s")


def rows_of(labels: list[str]) -> list[Example]:
    return [Example((f"{place}番目の文。",), label, id=f"{label}/{place}") for place, label in enumerate(labels)]


def test_the_best_of_each_label_stay_in_their_order() -> None:
    rows = rows_of(["sport", "food", "sport", "food", "sport", "sport"])
    values = dict(zip((row.id for row in rows), [-3.0, -9.0, -1.0, -8.0, -2.0, None], strict=True))
    found = keep_likeliest(TOPICS, rows, values, 0.5)
    assert found.examples == (rows[2], rows[3], rows[4])
    assert found.rejects == {"sport": {"less probable": 2}, "food": {"less probable": 1}}


def test_equals_stay_in_order_and_missing_values_come_last() -> None:
    rows = rows_of(["sport"] * 5)
    values = dict(zip((row.id for row in rows), [None, -1.0, math.nan, -1.0, -1.0], strict=True))
    assert keep_likeliest(TOPICS, rows, values, 0.4).examples == (rows[1], rows[3])
    assert keep_likeliest(TOPICS, rows, values, 0.8).examples == (rows[0], rows[1], rows[3], rows[4])


@given(st.lists(st.tuples(st.sampled_from(["sport", "food"]), st.floats(-50, 0)), max_size=40), st.floats(0.001, 1), st.floats(0.001, 1))
def test_shares_are_nested_and_no_label_is_lost(drawn: list[tuple[str, float]], one: float, other: float) -> None:
    rows = rows_of([label for label, _ in drawn])
    values = {row.id: value for row, (_, value) in zip(rows, drawn, strict=True)}
    small, large = (keep_likeliest(TOPICS, rows, values, share) for share in sorted((one, other)))
    assert set(small.examples) <= set(large.examples) <= set(rows)
    for name in TOPICS.label_names:
        own = [row for row in rows if row.label == name]
        kept = [row for row in small.examples if row.label == name]
        dropped = [row for row in own if row not in kept]
        assert len(kept) == (max(1, round(min(one, other) * len(own))) if own else 0)
        assert small.rejects[name] == ({"less probable": len(dropped)} if dropped else {})
        assert kept == [row for row in own if row in kept]
        assert min((values[row.id] for row in kept), default=0) >= max((values[row.id] for row in dropped), default=-math.inf)


def test_with_all_kept_no_log_probability_is_needed() -> None:
    rows = rows_of(["sport", "food"])
    found = keep_likeliest(TOPICS, rows, {}, 1.0)
    assert found.examples == tuple(rows)
    assert found.rejects == {"sport": {}, "food": {}}


def test_a_label_without_any_log_probability_is_an_error() -> None:
    rows = rows_of(["sport", "food"])
    with pytest.raises(GenerationError, match=r"curate\.keep_likeliest=0\.5: none of the 1 rows of label 'food' has a log-probability"):
        keep_likeliest(TOPICS, rows, {rows[0].id: -1.0, rows[1].id: None}, 0.5)
