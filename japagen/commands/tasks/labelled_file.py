"""A task's properties from a few rows: which columns hold texts and labels, which labels there are, how long texts are."""

import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from japagen.errors import DataError
from japagen.gold.formats import FileRow, read_rows
from japagen.prompts.identification import identify

MAX_LABELS = 50
"""A column without a telling name and with more different values than this is no label column."""
MAX_NAMED_LABELS = 500
"""The same of a column that is named like one."""
_LONGEST_LABEL = 40
"""Characters; a column with a longer value holds texts."""
_LABEL_NAMES = ("label", "labels", "class", "category", "target", "intent", "sentiment", "ラベル", "分類", "カテゴリ", "カテゴリー", "種別")
_TEXT_NAMES = ("text", "sentence", "sentence1", "sentence2", "message", "body", "本文", "文章", "テキスト", "内容")
_REMARK_NAMES = (
    "remark",
    "remarks",
    "note",
    "notes",
    "comment",
    "comments",
    "memo",
    "備考",
    "備考欄",
    "メモ",
    "注記",
    "コメント",
    "特記事項",
)
_SEVERAL_LINES = 0.05
"""Share of texts with several lines from which the task's texts are taken to have some."""
_MOST_IDENTIFIED = 50
_KANA = re.compile(r"[\u3041-\u3096\u30a1-\u30fa]")


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
        """`num` columns, in the file's order: those named like one, then those with the longest texts, remarks last."""
        lengths = {name: self._mean_length(name) for name in self.columns if name != but}

        def rank(name: str) -> tuple[bool, bool, float]:
            return name.lower() not in _TEXT_NAMES, self._is_remark(name), -lengths[name]

        longest = sorted(lengths, key=rank)[:num]
        return [name for name in self.columns if name in longest]

    def label_column(self) -> str | None:
        """A column that is named like one, else the one with the fewest different values (2 or more, and some twice); None: no labels.

        A column of remarks is none: it is named so, or is empty in some rows, or holds long texts.
        """
        distinct = {name: len({str(value) for value in self.values(name)}) for name in self.columns}
        for name in self.columns:
            if name.lower() in _LABEL_NAMES and 2 <= distinct[name] <= MAX_NAMED_LABELS:
                return name
        most = min(MAX_LABELS, max(2, len(self.rows) - 1))
        fitting = [name for name in self.columns if 2 <= distinct[name] <= most and self._may_be_labels(name)]
        return min(fitting, key=lambda name: distinct[name]) if fitting else None

    def _may_be_labels(self, column: str) -> bool:
        return not self._is_remark(column) and max(len(str(value)) for value in self.values(column)) <= _LONGEST_LABEL

    def _is_remark(self, column: str) -> bool:
        return column.lower() in _REMARK_NAMES or any(value is None or not str(value).strip() for value in self.values(column))

    def labels(self, column: str) -> list[str]:
        """The different values of the label column, the most frequent first; none where they are too many to be labels."""
        found = Counter(str(value).strip() for value in self.values(column) if value is not None and str(value).strip())
        return [label for label, _ in found.most_common()] if len(found) <= MAX_NAMED_LABELS else []

    def language(self, columns: list[str]) -> str:
        """The code of the texts' language; '' where it isn't clear."""
        texts = "\n".join(str(value) for column in columns for value in self.values(column)[:_MOST_IDENTIFIED])
        return "ja" if _KANA.search(texts) else identify(texts)

    def has_several_lines(self, columns: list[str]) -> bool:
        """Whether more than a few texts have several lines."""
        texts = [str(value) for column in columns for value in self.values(column)]
        num = sum(len([line for line in text.splitlines() if line.strip()]) > 1 for text in texts)
        return num > _SEVERAL_LINES * len(texts)

    def max_chars(self, columns: list[str]) -> int:
        """A limit under which 19 of 20 of the texts stay, in round tens."""
        lengths = sorted(len(str(value)) for column in columns for value in self.values(column))
        return max(10, -(-lengths[math.ceil(0.95 * len(lengths)) - 1] // 10) * 10)

    def _mean_length(self, column: str) -> float:
        return sum(len(value) if isinstance(value, str) else 0 for value in self.values(column)) / len(self.rows)


def read_labelled(path: Path) -> LabelledFile:
    """DataError where the file can't be read, has no rows or rows of different columns."""
    rows, _ = read_rows(path)
    file = LabelledFile(path, rows)
    if not rows:
        raise DataError(f"{path}: no rows; it must hold some texts, with labels where you have them")
    uneven = next((row for row in rows if list(row.values) != list(rows[0].values) and set(row.values) != set(file.columns)), None)
    if uneven is not None:
        missing = [name for name in file.columns if name not in uneven.values]
        raise DataError(f"{uneven.location}: no {', '.join(missing)} here; all rows must have the same columns")
    return file
