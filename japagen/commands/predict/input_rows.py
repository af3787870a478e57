"""The rows of a user's file or of standard input, one by one while they are read, with the texts to be labelled.

Whatever is wrong with row k is raised as DataError when row k is reached, so that all before it can be labelled. Text is UTF-8
(with or without BOM) or CP932: the first line that isn't ASCII decides, and the others must be like it.
"""

import queue
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from japagen.errors import DataError, nearest
from japagen.gold.formats import (
    FileRow,
    check_exists,
    delimited_rows,
    explain_unreadable,
    is_mostly_utf8,
    json_line_rows,
    plain_rows,
    read_rows,
)
from japagen.store.files import check_encoding, expand_home

STDIN = "-"
FORMATS = ("lines", "csv", "tsv", "jsonl", "json", "parquet")
SUFFIXES = {".txt": "lines", ".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".json": "json", ".parquet": "parquet"}
WHOLE = ("json", "parquet")
"""Formats that a pipe can't give."""
TEXT = "text"
"""The column of plain lines."""
USUAL_FIELDS = ((TEXT,), ("sentence1", "sentence2"))
"""Columns that are taken where nobody names any."""
_BOM = b"\xef\xbb\xbf"
_PARQUET_BATCH = 1024
_END = object()


@dataclass
class Source:
    """A file, or standard input, and what has been found out about it."""

    path: Path
    """The name in messages."""
    format: str
    """One of FORMATS."""
    is_pipe: bool
    has_bom: bool = False
    encoding: str = "utf-8"
    """Encoding of the lines read so far."""

    def rows(self) -> Iterator[FileRow]:
        """The rows; may be called once."""
        if self.format == "parquet":
            yield from _parquet_rows(self.path)
        elif self.format == "json":
            yield from read_rows(self.path)[0]
        else:
            with self._open() as file:
                yield from _READERS[self.format](self.path, self._lines(file))

    def _open(self) -> BinaryIO:
        # not sys.stdin itself: Python can't end while a thread waits in that
        with explain_unreadable(self.path):
            return open(sys.stdin.fileno(), "rb", closefd=False) if self.is_pipe else self.path.open("rb")

    def _lines(self, file: Iterable[bytes]) -> Iterator[str]:
        """Decoded lines with their ends; no line's end is part of a character in either encoding."""
        is_decided = False
        for number, raw in enumerate(file, start=1):
            check_encoding(self.path, raw, number)
            if number == 1:
                self.has_bom = raw.startswith(_BOM)
                raw = raw.removeprefix(_BOM)
            try:
                text = raw.decode(self.encoding)
            except UnicodeDecodeError as error:
                if is_decided or self.has_bom:
                    raise DataError(f"{self._fault(number, error)}: not {self.encoding.upper()}, as the lines before are") from error
                text = self._as_cp932(raw, number, error)
                self.encoding = "cp932"
            is_decided = is_decided or not raw.isascii()
            yield text

    def _as_cp932(self, raw: bytes, number: int, utf8_fault: UnicodeDecodeError) -> str:
        if is_mostly_utf8(raw):
            raise DataError(f"{self._fault(number, utf8_fault)}: not UTF-8, though most of the line is; mend that byte") from utf8_fault
        try:
            return raw.decode("cp932")
        except UnicodeDecodeError as error:
            raise DataError(f"{self._fault(number, error)}: neither UTF-8 nor CP932 (both tried); save it as UTF-8") from error

    def _fault(self, number: int, fault: UnicodeDecodeError) -> str:
        return f"{self.path}:{number} (byte 0x{fault.object[fault.start]:02x}, number {fault.start + 1} of the line)"


def find_source(name: str, given: str | None) -> Source:
    """The file `name`, or standard input; `given`: its format, where its suffix doesn't say. DataError where it can't be read."""
    if name == STDIN:
        if given in WHOLE:
            raise DataError(f"--format {given}: such a file can't be read from a pipe; name the file itself")
        return Source(Path("standard input"), given or "lines", is_pipe=True)
    path = expand_home(name)
    with explain_unreadable(path):
        if not path.exists() or path.is_dir():
            check_exists(path)
    suffix = path.suffix.lower()
    if given is None and suffix not in SUFFIXES:
        known = f"known are {', '.join(SUFFIXES)}{nearest(suffix, SUFFIXES)}"
        raise DataError(f"{path}: the suffix {suffix!r} doesn't say what is in it ({known}); say it by --format {'|'.join(FORMATS)}")
    return Source(path, given or SUFFIXES[suffix], is_pipe=False)


@dataclass(frozen=True)
class TextRow:
    """A row, and what of it is to be labelled."""

    row: FileRow
    texts: tuple[str, ...]
    """One, or a pair; none where one of them is empty: such a row cannot be labelled."""


def text_rows(rows: Iterable[FileRow], fields: Sequence[str], max_chars: int | None) -> Iterator[TextRow]:
    """The rows with their texts, cut to `max_chars` characters as training cut its own. DataError for a value that is no text."""
    for row in rows:
        texts = tuple(_text(row, field, max_chars) for field in fields)
        yield TextRow(row, texts if all(texts) else ())


def _text(row: FileRow, field: str, max_chars: int | None) -> str:
    value = row.value(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(f"{row.location}: column {field!r} must hold text; found {type(value).__name__} {value!r:.40}")
    text = value.encode("utf-8", "replace").decode()  # JSON can hold half characters, which no tokenizer takes
    if not text.strip():
        return ""
    return text if max_chars is None or len(text) <= max_chars else text.strip()[:max_chars].rstrip()


def choose_fields(row: FileRow, given: Sequence[str] | None, of_task: Sequence[str] | None, is_lines: bool) -> tuple[str, ...]:
    """The columns that hold the texts: those given, else the task's, else the usual ones, else the only one.

    `row`: the first one. Raises DataError where it has no such columns, or the student wants another number of them.
    """
    nums = (1, 2) if of_task is None else (len(of_task),)
    wants = "" if of_task is None else f"this student reads {len(of_task)} text(s) a row ({', '.join(of_task)})"
    if is_lines and 1 not in nums:
        raise DataError(f"plain lines hold one text each, and {wants}; give CSV, TSV or JSON lines with two columns (--format)")
    if given is not None:
        if len(given) not in nums:
            allowed = wants or "allowed: one, or two for pairs"
            raise DataError(f"--fields {','.join(given)} names {len(given)} column(s); {allowed}")
        for field in given:
            row.value(field)
        return tuple(given)
    usual = [tuple(of_task or ()), *(fields for fields in USUAL_FIELDS if len(fields) in nums)]
    if 1 in nums and len(row.values) == 1:
        usual.append(tuple(row.values))
    for fields in filter(None, usual):
        if all(field in row.values for field in fields):
            return fields
    looked_for = "; ".join(",".join(fields) for fields in dict.fromkeys(usual) if fields)
    raise DataError(
        f"{row.location}: which columns hold the texts? Looked for: {looked_for}; columns here: {', '.join(row.values)};"
        " name them by --fields"
    )


def chunks(rows: Iterator[TextRow], size: int) -> Iterator[list[TextRow]]:
    """The rows, `size` at a time; what is read before a DataError comes out before it."""
    chunk: list[TextRow] = []
    try:
        for row in rows:
            chunk.append(row)
            if len(chunk) == size:
                yield chunk
                chunk = []
    except DataError:
        if chunk:
            yield chunk
        raise
    if chunk:
        yield chunk


def chunks_as_they_come(rows: Iterator[TextRow], size: int) -> Iterator[list[TextRow]]:
    """`chunks` without waiting: a chunk holds the rows read so far, `size` rows at most. For pipes."""
    waiting: queue.Queue[object] = queue.Queue(maxsize=size)

    def read() -> None:
        try:
            for row in rows:
                waiting.put(row)
            waiting.put(_END)
        except BaseException as error:  # to be raised where the rows are used
            waiting.put(error)

    threading.Thread(target=read, daemon=True).start()
    item: object = None
    while not (item is _END or isinstance(item, BaseException)):
        chunk, item = [], waiting.get()
        while isinstance(item, TextRow):
            chunk.append(item)
            if len(chunk) == size or waiting.empty():
                break
            item = waiting.get()
        if chunk:
            yield chunk
    if isinstance(item, BaseException):
        raise item


def _parquet_rows(path: Path) -> Iterator[FileRow]:
    import pyarrow
    import pyarrow.parquet

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_PARQUET_BATCH):
                for values in batch.to_pylist():
                    number += 1
                    yield FileRow(path, number, values)
    except (pyarrow.ArrowException, OSError, ValueError, ArithmeticError) as error:  # what a spoilt file may raise besides its own
        raise DataError(f"{path}: not a Parquet file that can be read ({error})") from error


_READERS: dict[str, Callable[[Path, Iterable[str]], Iterator[FileRow]]] = {
    "lines": lambda path, lines: plain_rows(path, lines, TEXT),
    "csv": lambda path, lines: delimited_rows(path, lines, ","),
    "tsv": lambda path, lines: delimited_rows(path, lines, "\t"),
    "jsonl": json_line_rows,
}
