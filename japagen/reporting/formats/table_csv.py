"""The report's tables as CSV in long form: a row a cell, for data frames and spreadsheets."""

import csv
import io

from japagen.gold.formats import LineFeeds
from japagen.reporting.pivots import NONE, pivots
from japagen.reporting.report import Report
from japagen.reporting.result_files import safe_cell

COLUMNS = (
    "data", "task", "split", "metric", "num_eval", "gold_source", "method", "prompt", "shots", "llm", "model", "size", "options",
    "is_baseline", "mean", "sd", "seeds", "num_runs", "num_failed", "num_pending", "demo", "protocol", "p_holm", "is_reference",
    "is_significant",
)  # fmt: skip


def render(report: Report) -> str:
    """Numbers as they are; text that a spreadsheet would take for a formula gets a quote in front. What was not planned has no row."""
    stream = io.StringIO(newline="")
    writer = csv.writer(LineFeeds(stream))
    writer.writerow(COLUMNS)
    for pivot in pivots(report):
        for row in pivot.rows:
            names = [row.method, row.prompt, row.shots, row.llm, row.model, row.size, row.options]
            head = [*("" if name == NONE else name for name in names), row.is_baseline]
            for column, cell in zip(pivot.columns, row.cells, strict=True):
                if cell is not None:
                    column_cells = [pivot.data, column.task, column.split, column.metric, column.num_eval or None, column.source]
                    score = [cell.mean, cell.sd, cell.seeds, cell.num_runs, cell.num_failed, cell.num_pending, cell.demo, cell.protocol]
                    marks = [cell.p_holm, cell.is_reference, cell.is_significant]
                    writer.writerow([safe_cell(value) for value in (*column_cells, *head, *score, *marks)])
    return stream.getvalue()
