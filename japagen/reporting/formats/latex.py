"""The report as LaTeX: a table of the package booktabs for each source of gold data. Japanese text needs LuaLaTeX or upLaTeX."""

from japagen.reporting.formats.layout import REFERENCE, SIGNIFICANT, Layout, Line, Score, lay_out
from japagen.reporting.formats.notes import DEMO, notes, seeds_lines
from japagen.reporting.pivots import Pivot, pivots
from japagen.reporting.report import Report

_ESCAPES = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "[": "{[}", "]": "{]}", "*": "{*}", "–": "--", "±": r"$\pm$", SIGNIFICANT: r"$^{\dagger}$",
}  # fmt: skip
"""`[` and `*` too: behind a row's end LaTeX would take them for its options."""


def render(report: Report) -> str:
    """Tables with their captions; notes precede them as comments."""
    tables = pivots(report)
    lines = ["% \\usepackage{booktabs}", *(f"% {' '.join(line.split())}" for line in notes(report, tables))]
    for pivot in tables:
        lines += ["", *_table(lay_out(pivot), _caption(report, pivot))]
    return "\n".join(lines) + "\n"


def _table(layout: Layout, caption: str) -> list[str]:
    names = [*map(escape, layout.heads), *(escape(column.task) for column in layout.columns)]
    below = [[column.split, source, column.metric] for column, source in zip(layout.columns, layout.sources, strict=True)]
    splits = [""] * len(layout.heads) + [escape(", ".join(filter(None, parts))) for parts in below]
    body = []
    for number, line in enumerate(layout.lines):
        if line.is_baseline and number and not layout.lines[number - 1].is_baseline:
            body.append(r"\midrule")
        body.append(_row(_cells(line)))
    return [
        r"\begin{table}",
        r"\centering\small",
        rf"\begin{{tabular}}{{{'l' * len(layout.heads)}{'r' * len(layout.columns)}}}",
        r"\toprule",
        _row(names),
        _row(splits),
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        rf"\caption{{{caption}}}",
        r"\end{table}",
    ]


def _row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cells(line: Line) -> list[str]:
    scores = [score_text(score, best) for score, best in zip(line.scores, line.is_best, strict=True)]
    return [*map(escape, line.head), *scores]


def score_text(score: Score, is_best: bool) -> str:
    """'0.712 $\\pm$ 0.012'; '--' without a number."""
    if not score.is_number:
        return "--"
    number = score.value.replace("-", "$-$")
    value = rf"\textbf{{{number}}}" if is_best else number
    spread = rf" $\pm$ {score.sd}" if score.sd else ""
    mark = r"$^{\dagger}$" if score.is_significant else ""
    parts = [f"{value}{spread}{mark}", REFERENCE if score.is_reference else "", escape(f"({score.remark})") if score.remark else ""]
    return " ".join(filter(None, parts))


def _caption(report: Report, pivot: Pivot) -> str:
    """Title, what was scored and with which seeds, marks, failures, and what all rows share."""
    layout = lay_out(pivot)
    cells = [cell for row in pivot.rows if not row.is_baseline for cell in row.cells if cell is not None]
    scored = ", ".join(f"{column.task} {column.split} n = {column.num_eval}" for column in pivot.columns if column.num_eval)
    failed, pending = sum(cell.num_failed for cell in cells), sum(cell.num_pending for cell in cells)
    compared = f"{REFERENCE}: reference of its column; {SIGNIFICANT}: differs from it with p < 0.05 (Holm within a task)"
    parts = [
        layout.title,
        scored,
        f"Seeds: {'; '.join(seeds_lines(report))}",
        compared if any(cell.is_reference for cell in cells) else "",
        "Bold: the best mean of a column, baselines apart" if any(any(line.is_best) for line in layout.lines) else "",
        f"In all rows {layout.common}" if layout.common else "",
        f"--: no run, or none with a result ({failed} failed, {pending} to come)" if failed or pending else "",
        DEMO.rstrip(".") if any(cell.demo for cell in cells) else "",
    ]
    return escape(". ".join(filter(None, parts)) + ".")


def escape(text: str) -> str:
    """Text that LaTeX sets as it is, on one line."""
    return "".join(_ESCAPES.get(letter, letter) for letter in " ".join(text.split()))
