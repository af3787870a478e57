"""A labelled file in, its rows out: JSON lines, JSON arrays, CSV, TSV and Parquet, chosen by the file's suffix.

Each row knows its location (file:line), so that an error about one of its values can name it.
Text files are UTF-8 (with or without BOM) or CP932, which is what Japanese Excel writes; UTF-16 and ISO-2022 are refused by name.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from japagen.errors import DataError, nearest
from japagen.store.files import check_encoding

csv.field_size_limit(2**31 - 1)  # a cell may be a megabyte


@dataclass(frozen=True)
class FileRow:
    """One row of a file: its values as the format gives them (CSV: strings only)."""

    path: Path
    line: int
    """From 1; where the row begins. Parquet has no lines: the row's number."""
    values: dict[str, Any]

    @property
    def location(self) -> str:
        """`file:line`, as error messages begin."""
        return f"{self.path}:{self.line}"

    def value(self, column: str) -> Any:
        """The value in `column`; dots reach into nested objects. Raises DataError, listing the columns, where it is missing."""
        if column in self.values:
            return self.values[column]
        value: Any = self.values
        for part in column.split("."):
            if not isinstance(value, dict) or part not in value:
                columns = list(_column_names(self.values))
                raise DataError(f"{self.location}: no column {column!r}{nearest(column, columns)}; columns here: {', '.join(columns)}")
            value = value[part]
        return value


def _column_names(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _column_names(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def read_rows(path: Path) -> tuple[list[FileRow], tuple[str, ...]]:
    """All rows of `path` in the file's order, and notes on how it was read (e.g. `my.csv: read as CP932`).

    Raises DataError where the file is missing, its suffix is unknown, or its content is not of that format.
    """
    suffix = path.suffix.lower()
    with explain_unreadable(path):
        if suffix not in SUFFIXES and not path.is_dir():
            raise DataError(f"{path}: a file of type {suffix!r} can't be read{nearest(suffix, SUFFIXES)}; allowed: {', '.join(SUFFIXES)}")
        check_exists(path)
        if suffix == ".parquet":
            return _parquet_rows(path), ()
        text, notes = _decode(path)
    return list(_TEXT_READERS[suffix](path, text)), notes


def read_lines(path: Path, column: str) -> tuple[list[FileRow], tuple[str, ...]]:
    """A row for each line of a plain text file, blank ones too, with the line as its `column`; notes as `read_rows` has them.

    Raises DataError where the file is missing or is neither UTF-8 nor CP932.
    """
    with explain_unreadable(path):
        check_exists(path)
        text, notes = _decode(path)
    return list(plain_rows(path, text.removesuffix("\n").split("\n"), column)), notes


@contextmanager
def explain_unreadable(path: Path) -> Iterator[None]:
    """Turns what the file system says against reading (no permission, a broken disk) into DataError."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}") from error


def check_exists(path: Path) -> None:
    """Raises DataError, with what is there, unless `path` is a file."""
    if path.is_file():
        return
    if path.is_dir():
        raise DataError(f"{path} is a folder; name one file in it ({', '.join(SUFFIXES)})")
    if not path.parent.is_dir():
        raise DataError(f"{path} does not exist: there is no folder {path.parent}")
    beside = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    raise DataError(f"{path} does not exist{nearest(path.name, beside)}; the folder {path.parent} has {len(beside)} file(s)")


def _decode(path: Path) -> tuple[str, tuple[str, ...]]:
    raw = path.read_bytes()
    check_encoding(path, raw)
    try:
        return raw.decode("utf-8").removeprefix("\ufeff"), ()
    except UnicodeDecodeError as error:
        utf8_fault = error
    if is_mostly_utf8(raw):
        location = _fault_location(path, raw, utf8_fault)
        raise DataError(f"{location}: not UTF-8, though most of the file is (so not read as CP932); mend that byte") from utf8_fault
    try:
        return raw.decode("cp932"), (f"{path.name}: read as CP932",)
    except UnicodeDecodeError as cp932_fault:
        # The encoding that got further is the likelier one, and its fault the one to mend.
        fault = max(utf8_fault, cp932_fault, key=lambda error: error.start)
        raise DataError(f"{_fault_location(path, raw, fault)}: neither UTF-8 nor CP932 (both tried); save the file as UTF-8") from fault


def is_mostly_utf8(raw: bytes) -> bool:
    """Whether a file (or a line) that is not UTF-8 holds more whole UTF-8 characters than broken ones.

    Needed because nearly all UTF-8 Japanese decodes as CP932 too, to nonsense, so one bad byte would spoil the file in
    silence. CP932 Japanese read as UTF-8 is broken at almost every character.
    """
    text = raw.decode("utf-8", errors="replace")
    num_broken = text.count("\ufffd")
    num_whole = sum(not character.isascii() for character in text) - num_broken
    return num_whole > num_broken


def _fault_location(path: Path, raw: bytes, fault: UnicodeDecodeError) -> str:
    line = raw.count(b"\n", 0, fault.start) + 1
    return f"{path}:{line} (byte 0x{raw[fault.start]:02x} at offset {fault.start})"


def _json_rows(path: Path, text: str) -> Iterator[FileRow]:
    """JSON lines, or one array of objects where the text begins with '['."""
    if text.lstrip().startswith("["):
        yield from _json_array_rows(path, text)
    else:
        yield from json_line_rows(path, text.split("\n"))  # not splitlines: U+2028 and U+0085 may stand inside strings


def plain_rows(path: Path, lines: Iterable[str], column: str) -> Iterator[FileRow]:
    """A row for each line, with or without its end, blank ones too, while `lines` are read."""
    for number, line in enumerate(lines, start=1):
        yield FileRow(path, number, {column: line.removesuffix("\n").removesuffix("\r")})


def json_line_rows(path: Path, lines: Iterable[str]) -> Iterator[FileRow]:
    """A row for each line that isn't blank, while `lines` are read. Raises DataError at the first that holds no JSON object."""
    for line, content in enumerate(lines, start=1):
        if not content.strip():
            continue
        try:
            values = json.loads(content)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}:{line}: not JSON ({error.msg} at column {error.colno}); each line must hold one object") from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}:{line}: {_TOO_MUCH} ({error})") from error
        yield _json_row(path, line, values)


def _json_array_rows(path: Path, text: str) -> Iterator[FileRow]:
    try:
        items = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: not JSON ({error.msg} at column {error.colno})") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: {_TOO_MUCH} ({error})") from error
    decoder = json.JSONDecoder()
    position, line = text.index("[") + 1, 1 + text.count("\n", 0, text.index("["))
    for item in items:  # decoded once more one by one, since only that tells where each begins
        start = next(index for index in range(position, len(text)) if text[index] not in ", \t\r\n")
        line += text.count("\n", position, start)
        yield _json_row(path, line, item)
        _, position = decoder.raw_decode(text, start)
        line += text.count("\n", start, position)


def _json_row(path: Path, line: int, values: Any) -> FileRow:
    if not isinstance(values, dict):
        raise DataError(f"{path}:{line}: each row must be a JSON object with named columns; found {type(values).__name__}")
    return FileRow(path, line, values)


def _csv_rows(path: Path, text: str) -> Iterator[FileRow]:
    return delimited_rows(path, io.StringIO(text, newline=""), ",")


def _tsv_rows(path: Path, text: str) -> Iterator[FileRow]:
    return delimited_rows(path, io.StringIO(text, newline=""), "\t")


def delimited_rows(path: Path, lines: Iterable[str], delimiter: str) -> Iterator[FileRow]:
    """Rows under a header line, while `lines` (with their ends) are read; cells may be quoted with \" and then hold line breaks.

    Raises DataError at the first row that is not well-formed.
    """
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] = []
    line = 1
    try:
        for cells in reader:
            if header and cells:
                yield _delimited_row(path, line, header, cells)
            elif cells:
                header = _checked_header(path, line, cells)
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f'{path}:{line}: not well-formed ({error}); a cell with " in it must be quoted, and its " doubled') from error


def _checked_header(path: Path, line: int, header: list[str]) -> list[str]:
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise DataError(f"{path}:{line}: the header names {', '.join(repeated)} more than once; columns need names of their own")
    return header


def _delimited_row(path: Path, line: int, header: list[str], cells: list[str]) -> FileRow:
    if len(cells) != len(header):
        found = f"{len(cells)} cell(s), but the header has {len(header)}: {', '.join(header)}"
        raise DataError(f"{path}:{line}: {found}; a cell with the separator in it must be quoted")
    return FileRow(path, line, dict(zip(header, cells, strict=True)))


class LineFeeds:
    """Takes the rows that csv.writer ends with CR LF and ends them with LF: csv.writer quotes no CR in a cell when it ends rows with LF."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, row: str) -> int:
        return self._file.write(row.removesuffix("\r\n") + "\n")


def _parquet_rows(path: Path) -> list[FileRow]:
    import pyarrow
    import pyarrow.parquet

    try:
        values = pyarrow.parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError, ArithmeticError) as error:  # what a spoilt file may raise besides its own
        raise DataError(f"{path}: not a Parquet file that can be read ({error})") from error
    return [FileRow(path, number, row) for number, row in enumerate(values, start=1)]


_TOO_MUCH = "JSON with a number of too many digits, or with values nested too deep"
_TEXT_READERS: dict[str, Callable[[Path, str], Iterator[FileRow]]] = {
    ".json": _json_rows,
    ".jsonl": _json_rows,
    ".csv": _csv_rows,
    ".tsv": _tsv_rows,
}
SUFFIXES = (*_TEXT_READERS, ".parquet")
"""File types that can be read."""
