"""The report as Markdown with GitHub's tables."""

import re

from japagen.reporting.formats.layout import Layout, Line, lay_out
from japagen.reporting.formats.notes import DEMO, notes
from japagen.reporting.pivots import Column, pivots
from japagen.reporting.report import Report

_MARKUP = re.compile(r"([\\`*|<>\[\]~#$!])|(?<![^\W_])(_)|(_)(?![^\W_])")
"""Characters that GitHub may read as markup; an underscore only outside words."""


def render(report: Report) -> str:
    """Tables, then what they mean as a list."""
    tables = pivots(report)
    remarks = notes(report, tables)
    parts = [f"**{escape(DEMO)}**"] if DEMO in remarks else []
    for pivot in tables:
        layout = lay_out(pivot)
        parts += [f"**{escape(layout.title)}**", _table(layout)]
        parts += [escape(f"In all rows: {layout.common}")] if layout.common else []
    return "\n\n".join([*parts, "\n".join(f"- {escape(line)}" for line in remarks if line != DEMO)]) + "\n"


def _table(layout: Layout) -> str:
    titles = [*layout.heads, *map(column_text, layout.columns, layout.sources)]
    rule = ["---"] * len(layout.heads) + ["---:"] * len(layout.columns)
    rows = [[escape(title) for title in titles], rule, *(_cells(line) for line in layout.lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cells(line: Line) -> list[str]:
    heads = [f"*{escape(text)}*" if line.is_baseline and text.strip("–") else escape(text) for text in line.head]
    scores = zip(line.scores, line.is_best, strict=True)
    return heads + [f"**{escape(score.text)}**" if best else escape(score.text) for score, best in scores]


def column_text(column: Column, source: str) -> str:
    """'jnli valid, accuracy (n = 2434)'."""
    names = ", ".join(filter(None, [f"{column.task} {column.split}".strip(), source, column.metric]))
    return f"{names} (n = {column.num_eval})" if column.num_eval else names


def escape(text: str) -> str:
    """Text that shows as it is, on one line."""
    plain = " ".join(text.split()).replace("&", "&amp;")
    return _MARKUP.sub(lambda found: f"\\{found[0]}", plain)
