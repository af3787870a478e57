"""How many gold rows a method is worth: the curve, its ends, and which settings are compared."""

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.reporting.formats import document, markdown, table_csv
from japagen.reporting.html.tables import worth_listing
from japagen.reporting.report import Report
from japagen.reporting.seeds import aggregate
from japagen.reporting.worth import Crossing, Worth, crossing, monotone, worths
from tests.conftest import Compose
from tests.stubs.report_runs import GOLD, PROMPTING, Runs
from tests.stubs.results import printed

SIZES = {"10": (30, 0.5), "100": (300, 0.7), "all": (3000, 0.9)}


@pytest.fixture
def runs(composed: Compose) -> Runs:
    return Runs(composed)


def add_gold(runs: Runs, **fields: Any) -> None:
    for size, (rows, score) in SIZES.items():
        about = GOLD | {"gold_per_label": size, "num_train": rows, "num_valid": 0} | fields
        runs.add([score - 0.01, score + 0.01], "task=jnli", "method=gold", f"gold_per_label={size}", **about)


def found_in(runs: Runs) -> list[Worth]:
    return worths(aggregate([run.outcome for run in runs.runs]))


def interval(value: float) -> dict[str, Any]:
    return {"metrics": {"accuracy": {"value": value, "low": value - 0.1, "high": value + 0.1}}}


def test_a_score_is_worth_the_rows_at_which_the_gold_curve_has_it(runs: Runs) -> None:
    add_gold(runs)
    runs.add([0.0], "task=jnli", **interval(0.6))
    (worth,) = found_in(runs)
    assert worth.rows.rows == pytest.approx(94.868, abs=0.01), "halfway between 30 and 300 on the logarithm"
    assert (worth.low.rows, worth.low.side) == (pytest.approx(30), "")
    assert worth.high.rows == pytest.approx(300)
    assert worth.curve == ((30, pytest.approx(0.5)), (300, pytest.approx(0.7)), (3000, pytest.approx(0.9)))
    assert worth.line == (
        "worth in gold rows: jnli (valid), japagen (0.600): 95 [30, 300], by bert: 30 rows 0.500, 300 rows 0.700, 3,000 rows 0.900"
    )


@pytest.mark.parametrize(("score", "text"), [(0.3, "< 30 [< 30, < 30]"), (0.45, "< 30 [< 30, 53]"), (0.95, "> 3,000 [1,687, > 3,000]")])
def test_beyond_the_curve_only_its_end_is_named(runs: Runs, score: float, text: str) -> None:
    add_gold(runs)
    runs.add([0.0], "task=jnli", **interval(score))
    assert [worth.text for worth in found_in(runs)] == [text]


def test_validation_rows_are_gold_rows_too(runs: Runs) -> None:
    add_gold(runs, num_valid=100)
    runs.add([0.5], "task=jnli")
    assert found_in(runs)[0].curve[0][0] == 130


def test_only_what_is_alike_is_compared(runs: Runs) -> None:
    add_gold(runs)
    runs.add([0.6], "task=jnli", model="another encoder")
    runs.add([0.6], "task=jsts")
    runs.add([0.6], "task=jnli", options={"train.robust_q": 0.7})
    runs.add([0.6], "task=jnli", gold_source="other rows")
    assert found_in(runs) == []
    runs.add([0.6], "task=jnli", "curate.judging=drop", options={"curate.judging": "drop"})
    runs.add([0.6], "task=jnli", "method=prompting", **PROMPTING)
    assert [worth.setting.partition(",")[0] for worth in found_in(runs)] == ["japagen", "prompting"]


def test_one_size_is_no_curve(runs: Runs) -> None:
    runs.add([0.5], "task=jnli", "method=gold", **GOLD)
    runs.add([0.6], "task=jnli")
    assert found_in(runs) == []
    assert "worth" not in markdown.render(Report((), tuple(runs.runs)))


def test_every_format_has_it(runs: Runs) -> None:
    add_gold(runs)
    runs.add([0.0], "task=jnli", **interval(0.6))
    report = Report((), tuple(runs.runs))
    assert "worth in gold rows: jnli (valid), japagen (0.600): 95 " in markdown.render(report)
    rows = [row for row in csv.DictReader(io.StringIO(table_csv.render(report))) if row["worth_gold_rows"]]
    found = [(row["method"], row["worth_side"], *(round(float(row[f"worth_{name}"])) for name in ("gold_rows", "high"))) for row in rows]
    assert found == [("japagen", "", 95, 300)]
    (worth,) = json.loads(document.render(report))["worth"]
    assert worth["setting"] == "japagen"
    listing = worth_listing(report)
    assert listing is not None
    assert [cell.text for cell in listing.rows[0]][:3] == ["jnli (valid)", "japagen", "bert"]
    assert "worth in gold rows: jnli (valid), japagen" in printed(*report.results)


def test_scores_that_fall_are_made_level() -> None:
    assert monotone([(10, 0.5, 1), (100, 0.8, 1), (1000, 0.6, 3)]) == [(10, 0.5), (100, pytest.approx(0.65)), (1000, pytest.approx(0.65))]
    assert crossing([(10, 0.5), (100, 0.65), (1000, 0.65)], 0.65) == Crossing(pytest.approx(100)), "the fewest rows that reach it"
    assert crossing([(10, 0.5), (100, 0.5)], 0.5) == Crossing(10)
    assert crossing([(10, 0.5), (100, 0.5)], 0.51) == Crossing(100, ">")


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_score_is_never_worth_less(scores: list[float], one: float, other: float) -> None:
    curve = monotone([(10.0 ** (index + 1), score, 1) for index, score in enumerate(scores)])
    low, high = (crossing(curve, score) for score in sorted((one, other)))
    order = {"<": -1, "": 0, ">": 1}
    assert (order[low.side], low.rows) <= (order[high.side], high.rows * (1 + 1e-9))
