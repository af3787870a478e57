"""A sweep's files and its seeds: the same numbers as the results, safe cells, and statistics as numpy and `statistics` have them."""

import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.experiments.result import Outcome, Result
from japagen.reporting.result_files import safe_cell, write_sweep_results
from japagen.reporting.run_table import Failure
from japagen.reporting.seeds import aggregate
from tests.stubs.results import RESULT, printed, read_csv

NAME = "jnli-japagen-0-shot-big-bert-seed7"


def seeded(seed: int, value: float | None = 0.5, **fields: Any) -> Result:
    """A result of the settings 's' that differs from others in its seeds and score."""
    score = None if value is None else {"value": value, "low": value - 0.1, "high": value + 0.1}
    seeds = {"seed": seed, "shots_seed": 0, "synthesis.seed": 0} | fields.pop("seeds", {})
    keys = {"result": f"{seeds}{fields.get('settings', 's')}"}
    return replace(RESULT, **{"seeds": seeds, "metrics": {"accuracy": score}, "keys": keys, "settings": "s"} | fields)


def test_both_files_have_a_row_an_experiment_in_the_given_order(tmp_path: Path) -> None:
    full = replace(
        RESULT,
        metrics={"accuracy": {"value": 0.1 + 0.2, "low": 0.0, "high": 1.0}, "mcc": None},
        seeds={"seed": 7, "shots_seed": 1, "synthesis.seed": 2},
        also_scored={"out": {"metrics": {"accuracy": {"value": 0.25, "low": 0.2, "high": 0.3}}, "num_eval": 9}},
        tokens={"prompt": 11, "completion": 12},
        seconds={"training": 1.5},
        keys={"model": "m", "result": "r"},
        commit="abc+",
    )
    failure = Failure("jsts-japagen-seed1", "jsts", "no memory\nof the GPU")
    paths = write_sweep_results([failure, full], tmp_path / "made")
    assert [path.name for path in paths] == ["results.csv", "results.parquet"]
    assert sorted(path.name for path in paths[0].parent.iterdir()) == ["results.csv", "results.parquet"]
    failed, row = pq.read_table(paths[1]).to_pylist()
    assert {name: value for name, value in failed.items() if value is not None} == {
        "name": "jsts-japagen-seed1",
        "state": "failed",
        "cause": "no memory\nof the GPU",
        "task": "jsts",
    }
    expected = {
        "name": NAME, "state": "done", "cause": None, "task": "jnli", "split": "valid", "method": "japagen", "prompt": "base", "llm": "big",
        "model": "bert", "data": "published", "demo": False, "protocol": "zero-shot", "shots": 0, "gold_per_label": None,
        "num_per_label": 50,
        "seed": 7, "shots_seed": 1, "synthesis.seed": 2, "metric": "accuracy", "score": 0.1 + 0.2, "low": 0.0, "high": 1.0,
        "metrics.accuracy": 0.1 + 0.2, "metrics.accuracy.high": 1.0, "metrics.mcc": None, "baselines.majority.accuracy": 0.33,
        "baselines.tfidf.accuracy": None, "also_scored.out.accuracy.low": 0.2, "num_train": 130, "num_valid": 20, "num_eval": 2434,
        "num_contaminated": 3, "tokens.completion": 12, "seconds.training": 1.5, "keys.model": "m", "commit": "abc+",
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    cells = read_csv(paths[0])
    assert list(cells[0]) == list(row), "the same columns in both"
    assert cells[0]["cause"] == "no memory\nof the GPU"
    for name, value in row.items():
        assert cells[1][name] == ("" if value is None else str(value)), name


def test_columns_have_types_whatever_rows_there_are(tmp_path: Path) -> None:
    lists: list[list[Outcome]] = [[], [Failure("n", "t", "c")], [RESULT, replace(RESULT, split=None)]]
    tables = [pq.read_table(write_sweep_results(outcomes, tmp_path)[1]) for outcomes in lists]
    for table in tables:
        expected = {"cause": "string", "shots": "int64", "score": "double", "demo": "bool", "gold_per_label": "string", "seed": "int64"}
        assert {name: str(table.schema.field(name).type) for name in expected} == expected
    assert [table.num_rows for table in tables] == [0, 1, 2]


def test_text_cannot_become_a_formula_and_numbers_stay(tmp_path: Path) -> None:
    negative = replace(RESULT, metric="mcc", metrics={"mcc": {"value": -0.25, "low": -0.5, "high": -0.0}}, llm="@big")
    csv_path, parquet_path = write_sweep_results([negative, Failure("=1+1", "-task", '+"x",y')], tmp_path)
    row, failed = read_csv(csv_path)
    assert (row["score"], row["low"], row["llm"]) == ("-0.25", "-0.5", "'@big")
    assert (failed["name"], failed["task"], failed["cause"]) == ("'=1+1", "'-task", '\'+"x",y')
    assert pq.read_table(parquet_path)["name"].to_pylist()[1] == "=1+1", "data frames run no formulas"


@given(st.one_of(st.text(max_size=6), st.floats(allow_nan=False), st.integers(), st.none()))
def test_only_text_that_may_be_a_formula_is_quoted(value: Any) -> None:
    cell = safe_cell(value)
    if isinstance(value, str) and value[:1] and value[0] in "=+-@\t\r\n＝＋－＠":
        assert cell == f"'{value}"
    else:
        assert cell is value


def test_an_older_file_stays_where_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sweep_results([RESULT], tmp_path)
    before = (tmp_path / "results.parquet").read_bytes()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", fail)
    with pytest.raises(OSError, match="No space"):
        write_sweep_results([], tmp_path)
    assert (tmp_path / "results.parquet").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.csv", "results.parquet"]


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=8))
def test_mean_and_spread_are_those_of_statistics_and_numpy(values: list[float]) -> None:
    (group,) = aggregate([seeded(seed, value) for seed, value in enumerate(values)])
    assert group.mean == statistics.fmean(values)
    assert group.mean == pytest.approx(np.mean(values))
    assert group.scores == values
    if len(values) == 1:
        assert group.sd is None
        assert group.varied == ()
    else:
        assert group.sd == statistics.stdev(values)
        assert group.sd == pytest.approx(np.std(values, ddof=1), abs=1e-12)
        assert group.varied == ("seed",)
    assert group.seeds == {"seed": tuple(range(len(values))), "shots_seed": (0,), "synthesis.seed": (0,)}


@given(st.permutations(range(6)))
def test_groups_do_not_depend_on_the_order(order: list[int]) -> None:
    outcomes = [seeded(seed, 0.1 * seed, settings=settings) for settings in "ab" for seed in range(3)]
    found = {group.results[0].settings: (group.mean, group.sd, group.seeds) for group in aggregate([outcomes[number] for number in order])}
    assert set(found) == {"a", "b"}
    assert all(mean == pytest.approx(0.1) and sd == pytest.approx(0.1) for mean, sd, _ in found.values())


def test_which_seeds_varied_is_said() -> None:
    (group,) = aggregate([seeded(0), seeded(0, seeds={"synthesis.seed": 3}), seeded(1, seeds={"synthesis.seed": 3})])
    assert group.varied == ("seed", "synthesis.seed")
    assert group.seeds == {"seed": (0, 1), "shots_seed": (0,), "synthesis.seed": (0, 3)}
    (gold,) = aggregate([replace(seeded(seed), seeds={"seed": seed, "shots_seed": 0}) for seed in (0, 1)])
    assert gold.seeds == {"seed": (0, 1), "shots_seed": (0,)}, "no LLM, no synthesis.seed"


def test_one_result_counts_once_and_other_settings_stay_apart() -> None:
    same = seeded(0, 0.5)
    (group,) = aggregate([same, same])
    assert (len(group.scores), group.sd) == (1, None)
    assert len(aggregate([seeded(0), replace(seeded(1), num_per_label=99, settings="other")])) == 2
    old = [replace(seeded(seed), settings="") for seed in (0, 1)]
    assert len(aggregate(old)) == 1
    assert len(aggregate([old[0], replace(old[1], num_per_label=99)])) == 2
    twice = [old[0], old[1], replace(old[1], keys={"result": "with another learning rate"})]
    assert [len(group.results) for group in aggregate(twice)] == [1, 1, 1], "what differs can't be told, so nothing is united"
    assert len(aggregate([seeded(0), replace(seeded(1), data="sample", demo=True)])) == 2


def test_failures_are_counted_beside() -> None:
    named = replace(seeded(0), settings="s")
    groups = aggregate([Failure("anything", "jnli", "c", settings="s"), named, Failure(NAME.replace("7", "2"), "jnli", "c")])
    assert [group.num_failed for group in groups] == [2]
    two = aggregate([seeded(0), seeded(0, settings="t"), Failure(NAME, "jnli", "c"), Failure("x", "jsts", "c")])
    assert [group.num_failed for group in two] == [0, 0], "by its name it may belong to either"
    assert aggregate([Failure("x", "jsts", "c")]) == []


def test_scores_without_value_are_left_out() -> None:
    (group,) = aggregate([seeded(0, None), seeded(1, 0.25), seeded(2, 0.75)])
    assert (group.scores, group.mean) == ([0.25, 0.75], 0.5)
    (group,) = aggregate([seeded(0, None)])
    assert (group.mean, group.sd) == (None, None)


def test_the_table_of_seeds_stands_apart_for_smoke_and_published_data() -> None:
    assert "standard deviation" not in printed(RESULT)
    assert "standard deviation" not in printed(seeded(0), seeded(0, settings="t"))
    published: list[Outcome] = [seeded(0, 0.25), seeded(1, 0.5), Failure(NAME, "jnli", "c", settings="s")]
    smoke = [replace(seeded(seed, 0.5, seeds={"shots_seed": 3 * seed}, settings="smoke"), data="sample", demo=True) for seed in (0, 2)]
    text = printed(*published, *smoke)
    first = text.index("Published gold data: mean and sample standard deviation over seed")
    second = text.index("Smoke data (mean nothing): mean and sample standard deviation over seed, shots_seed")
    assert first < second
    row = next(line for line in text[first:].splitlines() if "jnli" in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells[-6:] == ["seed 0, 1", "accuracy", "0.375", f"{statistics.stdev([0.25, 0.5]):.3f}", "2", "1"]
    row = next(line for line in text[second:].splitlines() if "jnli*" in line)
    assert "seed 0, 2; shots_seed 0, 6" in row
