"""The report's tables as CSV in long form: a row a cell, for data frames and spreadsheets.

`worth_gold_rows` is where the cell's score meets the curve of gold students; `worth_side` is '<' or '>' where it lies beyond the curve.
"""

import csv
import io
from typing import Any

from japagen.gold.formats import LineFeeds
from japagen.reporting.pivots import NONE, pivots
from japagen.reporting.report import Report
from japagen.reporting.result_files import safe_cell
from japagen.reporting.worth import Worth, worths

COLUMNS = (
    "data", "task", "split", "metric", "num_eval", "gold_source", "method", "prompt", "shots", "llm", "model", "size", "options",
    "is_baseline", "mean", "sd", "seeds", "num_runs", "num_failed", "num_pending", "demo", "protocol", "p_holm", "is_reference",
    "is_significant", "worth_gold_rows", "worth_side", "worth_low", "worth_high",
)  # fmt: skip


def render(report: Report) -> str:
    """Numbers as they are; text that a spreadsheet would take for a formula gets a quote in front. What was not planned has no row."""
    stream = io.StringIO(newline="")
    writer = csv.writer(LineFeeds(stream))
    writer.writerow(COLUMNS)
    worth = {(found.task, found.split, found.keys): found for found in reversed(worths(report.groups))}  # of several curves the first
    for pivot in pivots(report):
        for row in pivot.rows:
            names = [row.method, row.prompt, row.shots, row.llm, row.model, row.size, row.options]
            head = [*("" if name == NONE else name for name in names), row.is_baseline]
            for column, cell in zip(pivot.columns, row.cells, strict=True):
                if cell is not None:
                    column_cells = [pivot.data, column.task, column.split, column.metric, column.num_eval or None, column.source]
                    score = [cell.mean, cell.sd, cell.seeds, cell.num_runs, cell.num_failed, cell.num_pending, cell.demo, cell.protocol]
                    marks = [cell.p_holm, cell.is_reference, cell.is_significant]
                    marks += _worth_cells(worth.get((column.task, column.split, cell.keys)) if cell.keys else None)
                    writer.writerow([safe_cell(value) for value in (*column_cells, *head, *score, *marks)])
    return stream.getvalue()


def _worth_cells(worth: Worth | None) -> list[Any]:
    return [None] * 4 if worth is None else [worth.rows.rows, worth.rows.side or None, worth.low.rows, worth.high.rows]
