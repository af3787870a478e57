"""A task's properties from a few labelled rows: which columns hold texts and labels, which labels there are, how long texts are."""

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from japagen.errors import DataError
from japagen.gold.formats import FileRow, read_rows

MAX_LABELS = 50
"""A column with more different values than this is no label column."""
_LABEL_NAMES = ("label", "class", "category", "target", "ラベル", "分類", "カテゴリ")


@dataclass(frozen=True)
class LabelledFile:
    """The rows of one file, and what can be proposed from them."""

    path: Path
    rows: list[FileRow]

    @property
    def columns(self) -> list[str]:
        return list(dict.fromkeys(name for row in self.rows for name in row.values))

    def values(self, column: str) -> list[Any]:
        return [row.value(column) for row in self.rows]

    def text_columns(self, num: int, but: str = "") -> list[str]:
        """The `num` columns with the longest texts, in the file's order."""
        lengths = {name: self._mean_length(name) for name in self.columns if name != but}
        longest = sorted(lengths, key=lambda name: -lengths[name])[:num]
        return [name for name in self.columns if name in longest]

    def label_column(self) -> str | None:
        """A column that is named like one, else the one with the fewest different values (2 or more, and some twice)."""
        distinct = {name: len({str(value) for value in self.values(name)}) for name in self.columns}
        for name in self.columns:
            if name.lower() in _LABEL_NAMES and distinct[name] >= 2:
                return name
        fitting = [name for name in self.columns if 2 <= distinct[name] <= min(MAX_LABELS, max(2, len(self.rows) - 1))]
        return min(fitting, key=lambda name: distinct[name]) if fitting else None

    def labels(self, column: str) -> list[str]:
        """The different values of the label column, the most frequent first; none where they are too many to be labels."""
        found = Counter(str(value).strip() for value in self.values(column) if value is not None and str(value).strip())
        return [label for label, _ in found.most_common()] if len(found) <= MAX_LABELS else []

    def max_chars(self, columns: list[str]) -> int:
        """A limit under which 19 of 20 of the texts stay, in round tens."""
        lengths = sorted(len(str(value)) for column in columns for value in self.values(column))
        return max(10, -(-lengths[math.ceil(0.95 * len(lengths)) - 1] // 10) * 10)

    def _mean_length(self, column: str) -> float:
        return sum(len(value) if isinstance(value, str) else 0 for value in self.values(column)) / len(self.rows)


def read_labelled(path: Path) -> LabelledFile:
    """DataError where the file can't be read, has no rows or fewer than two columns."""
    rows, _ = read_rows(path)
    file = LabelledFile(path, rows)
    if not rows:
        raise DataError(f"{path}: no rows; it must hold some labelled ones")
    if len(file.columns) < 2:
        raise DataError(f"{path}: one column ({', '.join(file.columns)}); it must hold texts and labels")
    uneven = next((row for row in rows if list(row.values) != list(rows[0].values) and set(row.values) != set(file.columns)), None)
    if uneven is not None:
        missing = [name for name in file.columns if name not in uneven.values]
        raise DataError(f"{uneven.location}: no {', '.join(missing)} here; all rows must have the same columns")
    return file
