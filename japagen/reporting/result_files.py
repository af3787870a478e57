"""A sweep's results as files for a spreadsheet or a data frame, and what its seeds make of them.

`write_sweep_results` flattens every Result into one row; the names are those of result.json, a point where it nests.
`aggregate` unites what differs in seeds only. A score's spread over seeds is another thing than its bootstrap interval (over gold rows).
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from japagen.experiments.result import Failure, Outcome, Scores
from japagen.gold.formats import LineFeeds
from japagen.reporting.seeds import _PLAIN, SEEDS
from japagen.store.files import write_whole

ResultRow = dict[str, str | int | float | bool | None]

_FIRST = ("name", "state", "cause")
_COUNTS = ("num_train", "num_valid", "num_eval", "num_clusters", "num_contaminated", "num_failed", "num_steps", "num_cut")
_SCORE = ("value", "low", "high")
_FORMULA = "=+-@\t\r\n＝＋－＠"
"""What a cell begins with when a spreadsheet may take it for a formula (OWASP, CSV injection); the wide forms count in Japanese Excel."""


def write_sweep_results(outcomes: Sequence[Outcome], folder: Path) -> list[Path]:
    """results.csv and results.parquet: a row an experiment, in the given order, failures with their cause and no numbers.

    Numbers are the same in both. Text in the CSV that a spreadsheet would take for a formula gets a quote in front.
    """
    rows = [_row(outcome) for outcome in outcomes]
    columns = _columns(rows)
    return [
        write_whole(folder / "results.csv", lambda path: _write_csv(rows, columns, path)),
        write_whole(folder / "results.parquet", lambda path: _write_parquet(rows, columns, path)),
    ]


def _row(outcome: Outcome) -> ResultRow:
    if isinstance(outcome, Failure):
        return {"name": outcome.name, "state": "failed", "cause": outcome.cause, "task": outcome.task}
    row: ResultRow = {"name": outcome.name, "state": "done"}
    row |= {name: getattr(outcome, name) for name in _PLAIN} | {"options": outcome.options_text or None}
    row |= {name: outcome.seeds.get(name) for name in SEEDS}
    row["metric"] = outcome.metric if outcome.split else None
    row |= dict(zip(("score", "low", "high"), _values(outcome.primary), strict=True))
    row |= _flatten_scores("metrics", outcome.metrics)
    for baseline, scores in outcome.baselines.items():
        row |= _flatten_scores(f"baselines.{baseline}", scores)
    for split in outcome.splits[1:]:
        row |= _flatten_scores(f"also_scored.{split.name}", split.metrics)
    row |= {name: getattr(outcome, name) for name in _COUNTS}
    row["verdict"] = None if outcome.judged is None else outcome.judged.status
    for part in ("tokens", "seconds", "keys"):
        row |= {f"{part}.{name}": value for name, value in getattr(outcome, part).items()}
    return row | {"commit": outcome.commit}


def _flatten_scores(prefix: str, scores: Scores) -> ResultRow:
    """accuracy -> PREFIX.accuracy, PREFIX.accuracy.low and PREFIX.accuracy.high."""
    row: ResultRow = {}
    for metric, score in scores.items():
        names = (f"{prefix}.{metric}", f"{prefix}.{metric}.low", f"{prefix}.{metric}.high")
        row |= dict(zip(names, _values(score), strict=True))
    return row


def _values(score: dict[str, float] | None) -> list[float | None]:
    return [None if score is None else float(score[name]) for name in _SCORE]


def _columns(rows: Sequence[ResultRow]) -> dict[str, type]:
    """Column name -> type, in the order of a Result's row; the order does not depend on the rows."""
    groups: dict[str, dict[str, type]] = {part: {} for part in ("metrics", "baselines", "also_scored", "tokens", "seconds", "keys")}
    types = {"tokens": int, "keys": str}
    for name in (name for row in rows for name in row):
        part = name.partition(".")[0]
        if part in groups and "." in name:
            groups[part][name] = types.get(part, float)
    scores = dict.fromkeys(("score", "low", "high"), float)
    columns = dict.fromkeys(_FIRST, str) | _PLAIN | {"options": str} | dict.fromkeys(SEEDS, int) | {"metric": str} | scores
    for part in ("metrics", "baselines", "also_scored"):
        columns |= groups[part]
    columns |= dict.fromkeys(_COUNTS, int)
    for part in ("tokens", "seconds", "keys"):
        columns |= groups[part]
    return columns | {"commit": str}


def _write_csv(rows: Sequence[ResultRow], columns: dict[str, type], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(LineFeeds(file))
        writer.writerow([safe_cell(name) for name in columns])
        writer.writerows([[safe_cell(row.get(name)) for name in columns] for row in rows])


def safe_cell(value: Any) -> Any:
    """The value; text that a spreadsheet would take for a formula gets a quote in front, numbers never."""
    return f"'{value}" if isinstance(value, str) and value.startswith(tuple(_FORMULA)) else value


def _write_parquet(rows: Sequence[ResultRow], columns: dict[str, type], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    arrays = {name: pa.array([row.get(name) for row in rows], types[kind]) for name, kind in columns.items()}
    pq.write_table(pa.table(arrays), path)
