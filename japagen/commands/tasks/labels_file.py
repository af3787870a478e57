"""--labels-file: a task's labels as a table, for many of them, or for names with commas and equals signs.

One row a label, in any format that gold data may have (CSV, TSV, JSON lines, Parquet). Columns: `label`, the name; and where they are
needed `value` (what the gold file says in place of the name), `word`, `description`, `score`.
"""

from dataclasses import dataclass
from pathlib import Path

from japagen.commands.tasks.converters import checked_names
from japagen.errors import DataError, nearest
from japagen.gold.formats import FileRow, read_rows

COLUMNS = ("label", "value", "word", "description", "score")


@dataclass(frozen=True)
class LabelTable:
    """The file's labels in its order."""

    names: list[str]
    label_map: dict[str, str]
    """A gold file's value -> the name, where they differ."""
    words: list[str | None]
    descriptions: list[str | None]
    scores: list[float] | None
    """None where the file has none."""


def read_labels_file(path: Path) -> LabelTable:
    """Raises DataError, naming file and line, for other columns, missing names and scores that are no numbers."""
    rows, _ = read_rows(path)
    if not rows:
        raise DataError(f"{path}: no rows; it must hold a row for each label, with the columns {', '.join(COLUMNS)} (label at least)")
    for name in rows[0].values:
        if name not in COLUMNS:
            raise DataError(f"{path}: column {name!r} is not known{nearest(name, COLUMNS)}; allowed: {', '.join(COLUMNS)}")
    texts = {name: [_text(row, name) for row in rows] for name in COLUMNS}
    for row, label in zip(rows, texts["label"], strict=True):
        if label is None:
            raise DataError(f"{row.location}: no label; each row needs a name in the column label")
    names = checked_names([label or "" for label in texts["label"]])
    label_map = {value: name for value, name in zip(texts["value"], names, strict=True) if value is not None and value != name}
    scores = [_score(row, text) for row, text in zip(rows, texts["score"], strict=True)] if any(texts["score"]) else None
    return LabelTable(names, label_map, texts["word"], texts["description"], scores)


def _text(row: FileRow, name: str) -> str | None:
    value = row.values.get(name)
    return None if value is None or not str(value).strip() else " ".join(str(value).split())


def _score(row: FileRow, text: str | None) -> float:
    try:
        return float(text or "")
    except ValueError as error:
        raise DataError(f"{row.location}: score {text!r} is no number") from error
