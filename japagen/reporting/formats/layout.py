"""The content of a table for people, before any format: which columns it needs, and each cell in words and marks.

A value that all rows share appears once below the table and takes no column.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from japagen.reporting.pivots import NONE, Cell, Column, Pivot, PivotRow
from japagen.reporting.setting_names import TITLES

HEADS = {
    "method": "method",
    "prompt": "prompt",
    "shots": "shots",
    "llm": "LLM",
    "model": "encoder",
    "size": "n/label",
    "options": "options",
}
"""PivotRow field -> its column's title."""
REFERENCE, SIGNIFICANT, DEMO = "(ref)", "†", "*"


@dataclass(frozen=True)
class Score:
    """A cell in parts, for formats to put together."""

    value: str
    """'0.712', or a word where there is no number."""
    sd: str = ""
    """'0.012'; '' for one run."""
    remark: str = ""
    """'2 runs, 1 failed', where it isn't as in most cells."""
    is_reference: bool = False
    is_significant: bool = False
    is_number: bool = True

    @property
    def text(self) -> str:
        """'0.712 ± 0.012† (2 runs, 1 failed)'."""
        number = f"{self.value} ± {self.sd}" if self.sd else self.value
        marked = f"{number}{SIGNIFICANT if self.is_significant else ''}"
        return " ".join(filter(None, [marked, REFERENCE if self.is_reference else "", f"({self.remark})" if self.remark else ""]))


@dataclass(frozen=True)
class Line:
    """A row's head, its cells, and whether they are the best of their columns."""

    head: tuple[str, ...]
    scores: tuple[Score, ...]
    is_best: tuple[bool, ...]
    is_baseline: bool


@dataclass(frozen=True)
class Layout:
    """A table for people."""

    title: str
    heads: tuple[str, ...]
    columns: tuple[Column, ...]
    sources: tuple[str, ...]
    """For each column the gold rows' source where another column is called like it, else ''."""
    lines: tuple[Line, ...]
    common: str
    """'LLM demo; encoder demo': what all rows share; '' where nothing."""


def lay_out(pivot: Pivot) -> Layout:
    """The pivot's rows under the columns that distinguish them."""
    texts = {name: list(dict.fromkeys(text for row in pivot.rows if (text := getattr(row, name)) not in ("", NONE))) for name in HEADS}
    shown = [name for name in HEADS if name == "method" or len(texts[name]) > 1 or (name == "options" and texts[name])]
    common = [f"{HEADS[name]} {texts[name][0]}" for name in HEADS if name not in shown and texts[name]]
    usual, best = usual_runs(pivot), _best(pivot)
    lines = [
        Line(
            head=tuple((getattr(row, name) or NONE) + (DEMO if name == "method" and is_demo(row) else "") for name in shown),
            scores=tuple(
                score_of(cell, column, None if row.is_baseline else usual) for cell, column in zip(row.cells, pivot.columns, strict=True)
            ),
            is_best=tuple(
                not row.is_baseline and cell is not None and cell.mean is not None and _shown(cell.mean) == top
                for cell, top in zip(row.cells, best, strict=True)
            ),
            is_baseline=row.is_baseline,
        )
        for row in pivot.rows
    ]
    names = Counter((column.task, column.split, column.metric) for column in pivot.columns)
    sources = [column.source or "" if names[column.task, column.split, column.metric] > 1 else "" for column in pivot.columns]
    heads = tuple(HEADS[name] for name in shown)
    return Layout(title_of(pivot), heads, pivot.columns, tuple(sources), tuple(lines), "; ".join(common))


def title_of(pivot: Pivot) -> str:
    """'Published gold data: mean ± sample standard deviation over runs'."""
    return "Without gold data" if pivot.data is None else f"{TITLES[pivot.data]}: mean ± sample standard deviation over runs"


def is_demo(row: PivotRow) -> bool:
    """Whether demo models or smoke data take part."""
    return any(cell.demo for cell in row.cells if cell is not None)


def usual_runs(pivot: Pivot) -> int:
    """How many runs most cells are made of."""
    counts = Counter(cell.num_runs for row in pivot.rows if not row.is_baseline for cell in row.cells if cell is not None and cell.num_runs)
    return counts.most_common(1)[0][0] if counts else 0


def score_of(cell: Cell | None, column: Column, usual: int | None) -> Score:
    """A cell in parts; `usual` runs go without saying, with None any number does."""
    if cell is None:
        return Score(NONE, is_number=False)
    lacking = [f"{cell.num_failed} failed"] if cell.num_failed else []
    lacking += [f"{cell.num_pending} to come"] if cell.num_pending else []
    if not cell.num_runs:
        return Score("failed" if cell.num_failed else "to come", remark=", ".join(lacking) if len(lacking) > 1 else "", is_number=False)
    says_runs = lacking or usual not in (None, cell.num_runs)
    runs = [f"{cell.num_runs} run{'s' if cell.num_runs > 1 else ''}"] if says_runs else []
    remark = ", ".join([*runs, *lacking])
    if cell.mean is None:
        return Score("no value" if column.metric else "no gold", remark=remark, is_number=False)
    sd = "" if cell.sd is None else _shown(cell.sd)
    return Score(_shown(cell.mean), sd, remark, cell.is_reference, cell.is_significant)


def _best(pivot: Pivot) -> Sequence[str | None]:
    """Each column's highest mean as it is shown, of its settings; None where fewer than two have one."""
    rows = [[None if cell is None else cell.mean for cell in row.cells] for row in pivot.rows if not row.is_baseline]
    found = [[mean for mean in column if mean is not None] for column in zip(*rows, strict=True)]
    return [_shown(max(column)) if len(column) > 1 else None for column in found]


def _shown(value: float) -> str:
    return f"{value:.3f}"
