"""Where `japagen predict` writes: a file that is whole once it has its name, or standard output, as CSV, TSV or JSON lines.

A row is the user's own columns, with their values as they came, and then ours. What isn't finished is called FILE.partial.
"""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from japagen.errors import DataError, nearest
from japagen.gold.formats import FileRow, LineFeeds
from japagen.output import data_output

FORMATS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl"}
"""Suffix -> format of what is written."""
PREDICTED = "_predicted"
"""Ends our column's name where the user's file has one so called."""
_DELIMITERS = {"csv": ",", "tsv": "\t"}


def check_out(out: Path, source: Path) -> str:
    """The format that `out`'s suffix names. DataError where it can't be written or is what is read."""
    suffix = out.suffix.lower()
    if suffix not in FORMATS:
        raise DataError(f"--out {out}: the suffix must say the format{nearest(suffix, FORMATS)}; allowed: {', '.join(FORMATS)}")
    if not out.parent.is_dir():
        raise DataError(f"--out {out}: there is no folder {out.parent}; make it first")
    if out.is_dir():
        raise DataError(f"--out {out} is a folder; name a file in it")
    if out.resolve() == source.resolve():
        raise DataError(f"--out {out} is the file that is read; choose another name")
    return FORMATS[suffix]


class PredictionFile:
    """What is being written. `format`: csv, tsv or jsonl; `out`: none for standard output; `has_bom`: as the file read had it."""

    def __init__(self, out: Path | None, format: str, has_bom: bool = False) -> None:
        self.num_rows = 0
        self.renamed: dict[str, str] = {}
        """Our columns that bear another name, since the user's file has one so called."""
        self._out, self._format = out, format
        self._columns: list[str] | None = None
        self._own: list[str] = []
        encoding = "utf-8-sig" if has_bom and format in _DELIMITERS else "utf-8"
        # backslashreplace: half a character of a JSON file comes out as the \\ud83d that it was
        self._file: TextIO
        if self._out is None:
            self._file = data_output()
        else:
            with self._explained():
                self._file = self.partial.open("w", encoding=encoding, errors="backslashreplace", newline="")
        self._writer = csv.writer(LineFeeds(self._file), delimiter=_DELIMITERS.get(format, ","))

    @property
    def partial(self) -> Path:
        """The file's name until it is whole."""
        assert self._out is not None
        return self._out.with_name(f"{self._out.name}.partial")

    @property
    def whereabouts(self) -> str:
        """For messages: what has become of the rows so far."""
        rows = f"{self.num_rows} row(s) before that"
        return f"{rows} were written" if self._out is None else f"{rows} are in {self.partial}"

    def write(self, rows: Sequence[tuple[FileRow, Mapping[str, Any]]]) -> None:
        """Appends rows, each with its predicted columns, whose names are the same in all; DataError for rows whose columns don't fit.

        Rows before such a row are written.
        """
        with self._explained():
            for row, own in rows:
                if self._columns is None:
                    self._begin(row, list(own))
                self._check(row)
                self._write_row(row.values, own)
                self.num_rows += 1
            self._file.flush()

    def finish(self) -> None:
        """Gives the file its name."""
        if self._out is not None:
            with self._explained():
                self._file.close()
                self.partial.replace(self._out)

    def _begin(self, row: FileRow, own: Sequence[str]) -> None:
        columns = list(row.values)
        self.renamed = {name: f"{name}{PREDICTED}" for name in own if name in columns}
        self._columns, self._own = columns, [self.renamed.get(name, name) for name in own]
        if taken := [name for name in self.renamed.values() if name in columns]:
            raise DataError(f"{row.location}: there is a column {taken[0]!r} already, and so would ours be called; rename it in your file")
        if self._format in _DELIMITERS:
            self._writer.writerow([*columns, *self._own])

    def _check(self, row: FileRow) -> None:
        assert self._columns is not None
        if self._format in _DELIMITERS:
            if unknown := next((name for name in row.values if name not in self._columns), None):
                raise DataError(
                    f"{row.location}: column {unknown!r} isn't in the first row, which makes the header; --out FILE.jsonl has no header"
                )
        elif taken := next((name for name in self._own if name in row.values), None):
            raise DataError(f"{row.location}: column {taken!r} isn't in the first row, and ours is called so; rename it in your file")

    def _write_row(self, values: Mapping[str, Any], own: Mapping[str, Any]) -> None:
        assert self._columns is not None
        if self._format in _DELIMITERS:
            self._writer.writerow([*(_cell(values.get(name)) for name in self._columns), *map(_cell, own.values())])
        else:
            named = dict(zip(self._own, own.values(), strict=True))
            self._file.write(_as_json({**values, **named}) + "\n")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Words the file system's refusals; a pipe that nobody reads any more is another matter."""
        try:
            yield
        except OSError as error:
            if self._out is None:
                raise
            raise DataError(f"{self._out} can't be written: {error.strerror or error}") from error


def _cell(value: Any) -> str:
    """Strings as they are, nothing for None, all else as JSON has it."""
    if isinstance(value, str):
        return value
    return "" if value is None else _as_json(value)


_as_json = json.JSONEncoder(ensure_ascii=False, default=str).encode
"""One encoder for all: json.dumps makes a new one a call."""
