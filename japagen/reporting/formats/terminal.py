"""The report for a terminal: rich tables, folded where the screen is narrow."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from japagen.reporting.formats.layout import Layout, lay_out
from japagen.reporting.formats.notes import notes
from japagen.reporting.pivots import Column, pivots
from japagen.reporting.report import Report


def print_report(report: Report, console: Console) -> None:
    """Prints a table for each source of gold data, and what they mean."""
    tables = pivots(report)
    for pivot in tables:
        layout = lay_out(pivot)
        console.print(Text(layout.title), soft_wrap=True)
        console.print(draw(layout))
        if layout.common:
            console.print(Text(f"in all rows: {layout.common}"))
        console.print()
    for line in notes(report, tables):
        console.print(Text(line), soft_wrap=not console.is_terminal)


def draw(layout: Layout) -> Table:
    """One table; the best of each column is bold, baselines are below a line."""
    table = Table()
    for head in layout.heads:
        table.add_column(head, overflow="fold")
    for column, source in zip(layout.columns, layout.sources, strict=True):
        table.add_column(Text(column_text(column, source)), justify="right", overflow="fold")
    for number, line in enumerate(layout.lines):
        scores = [Text(score.text, style="bold" if best else "") for score, best in zip(line.scores, line.is_best, strict=True)]
        if line.is_baseline and number and not layout.lines[number - 1].is_baseline:
            table.add_section()
        table.add_row(*(Text(text) for text in line.head), *scores)
    return table


def column_text(column: Column, source: str) -> str:
    """Task, split, metric and number of gold rows, a line each."""
    parts = [column.task, column.split, source, column.metric, f"n = {column.num_eval}" if column.num_eval else ""]
    return "\n".join(filter(None, parts))
