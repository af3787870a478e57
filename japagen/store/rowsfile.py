"""Rows of a stream, or of answers, on disk and in memory.

They are appended raw to `rows-*.jsonl`, one file per writer; readers ignore a torn last line, and where a position was written twice the
first row in file order counts. `japagen.synthesis.claims` decides who writes which rows.
"""

import errno
import json
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from operator import attrgetter
from pathlib import Path
from sys import intern
from typing import Any

from japagen.errors import StoreError
from japagen.store.files import explain_os_errors, write_json
from japagen.store.store import Store, artifact_meta

SYNC_S = 5.0
"""Appended rows reach the disk at least this often (a killed process loses none; a power cut at most these)."""

Position = tuple[str, int, int]
"""(label, index, turn); the label is '' for turn 0 of a pair."""

_encode = json.JSONEncoder(ensure_ascii=False).encode
_FAILED = _encode({"finish_reason": "error"}).strip("{}").encode()
"""Stands in failed rows' lines only: within a text quotes are escaped."""
_FEW_VALUES = ("label", "finish_reason")
"""Fields of which a million rows hold a handful of strings."""


@dataclass(frozen=True, slots=True)
class StreamRow:
    """One reply, raw. A request's token counts are on the first of its rows."""

    index: int
    label: str
    turn: int
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    seed: int
    attributes: dict[str, str] = field(default_factory=dict)
    error: str = ""

    @property
    def position(self) -> Position:
        return self.label, self.index, self.turn


class StreamRows:
    """The rows of one stream, in memory and on disk."""

    def __init__(self, folder: Path, row_type: Any = StreamRow) -> None:
        """`row_type`: dataclass with a hashable `position`, a `finish_reason` and token counts; answers are kept in this form too."""
        self.folder, self._row_type = folder, row_type
        self._names = tuple(field.name for field in fields(row_type))
        self._values = attrgetter(*self._names)
        self._rows: dict[Any, Any] = {}
        self._forgotten: dict[tuple[str, int], bytearray] = {}
        """(label, turn) -> for each index whether its row is on disk and no longer in memory."""
        self._num_forgotten = 0
        self.prompt_tokens = self.completion_tokens = self.num_requests = 0
        """Of all rows, everybody's: tokens, and the requests that they were counted for."""
        self._held: list[StreamRow] = []
        self._file: int | None = None
        self._synced, self._is_synced = time.monotonic(), True
        self._own: set[str] = set()
        """Names of the files that we write."""
        self._others: dict[str, RowsFile] = {}
        self.is_disputed = False
        """Whether a row came that is in memory with other content, or was evicted: another file's row may be first in file order,
        which only a fresh reading decides."""
        for path in sorted(folder.glob("rows-*.jsonl")):
            for row in self._read_on(path):
                self._rows.setdefault(row.position, row)

    def refresh(self) -> list[StreamRow]:
        """Takes in what other writers have appended since the last look; ours reach the disk, so that others see them."""
        self._sync()
        fresh = []
        for path in sorted(self.folder.glob("rows-*.jsonl")):
            for row in self._read_on(path) if path.name not in self._own else ():
                if not self.has(row.position):
                    self._rows[row.position] = row
                    fresh.append(row)
                else:
                    self.is_disputed |= self._rows.get(row.position) != row
        return fresh

    def _read_on(self, path: Path) -> Iterator[StreamRow]:
        for row in self._others.setdefault(path.name, RowsFile(path, self._row_type)).read_on():
            self._count(row)
            yield row

    def _count(self, row: Any) -> None:
        if row.prompt_tokens or row.completion_tokens:
            self.prompt_tokens += row.prompt_tokens
            self.completion_tokens += row.completion_tokens
            self.num_requests += 1

    def __len__(self) -> int:
        """All rows, the forgotten ones too."""
        return len(self._rows) + self._num_forgotten

    def __iter__(self) -> Iterator[StreamRow]:
        """Iterates over the rows in memory."""
        return iter(self._rows.values())

    def has(self, position: Any) -> bool:
        """True if the row was written, even if evicted from memory."""
        if position in self._rows:
            return True
        if not self._forgotten:
            return False
        label, index, turn = position
        marks = self._forgotten.get((label, turn), b"")
        return index < len(marks) and marks[index] == 1

    def forget(self, position: Position) -> None:
        """Evicts a stream's row from memory, but `has` still knows it: it is not read again, and long streams would fill the memory."""
        if self._rows.pop(position, None) is None:
            return
        label, index, turn = position
        marks = self._forgotten.setdefault((label, turn), bytearray())
        if index >= len(marks):
            marks.extend(bytes(index + 1 - len(marks)))
        marks[index] = 1
        self._num_forgotten += 1

    def get(self, label: str, index: int, turn: int) -> StreamRow | None:
        return self._rows.get((label, index, turn))

    def find(self, position: Any) -> Any:
        """The row at `position`, or None."""
        return self._rows.get(position)

    def append(self, rows: Iterable[Any]) -> None:
        """Takes rows of whole requests into memory and, in one write, onto the disk; rows that exist already are skipped.

        Rows of failed requests wait in memory for the next reply that succeeds: a server that answers nothing but errors
        leaves none behind, and the same command asks it again.
        """
        fresh: dict[Any, Any] = {}
        for row in rows:
            if not self.has(position := row.position):
                fresh.setdefault(position, row)
                self._count(row)
        self._held += fresh.values()
        if any(row.finish_reason != "error" for row in fresh.values()):
            self.write_held()
        self._rows |= fresh

    def write_held(self) -> None:
        """Writes failed rows that still wait: others wait for them, or what the stream was filled for counts on them."""
        if self._held:
            self._write(self._held)
            self._held = []

    def _write(self, rows: Sequence[StreamRow]) -> None:
        lines = "".join(_encode(dict(zip(self._names, self._values(row), strict=True))) + "\n" for row in rows).encode()
        with explain_os_errors(self.folder):
            written = os.write(self._open(), lines)
            if written != len(lines):  # the disk filled up in the middle: this file ends torn, so it is left
                self.close()
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._is_synced = False
            self._sync()

    def _sync(self) -> None:
        if self._is_synced or time.monotonic() - self._synced <= SYNC_S:
            return
        os.fsync(self._open())
        self._synced, self._is_synced = time.monotonic(), True

    def _open(self) -> int:
        if self._file is None:
            number = len(list(self.folder.glob("rows-*.jsonl")))
            path = self.folder / f"rows-{number:04d}-{uuid.uuid4().hex[:8]}.jsonl"
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
            self._own.add(path.name)
        return self._file

    def close(self) -> None:
        """Waits until the rows are on the disk and closes the file; the next append opens a new one."""
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
            self._file, self._is_synced = None, True


@dataclass
class RowsFile:
    """A writer's file, as far as it has been read."""

    path: Path
    row_type: Any = StreamRow
    num_bytes: int = 0
    num_lines: int = 0

    def read_on(self) -> Iterator[StreamRow]:
        """Its rows from here on; a torn last line isn't consumed until it is whole, any other broken line is a StoreError.

        Torn is also a line with a hole in it: a shared file system may show a file's end before the bytes ahead of it.
        """
        with self.path.open("rb") as file:
            file.seek(self.num_bytes)
            for line in file:
                if not line.endswith(b"\n") or b"\0" in line:
                    return
                self.num_bytes += len(line)
                self.num_lines += 1
                try:
                    values = json.loads(line)
                    for name in _FEW_VALUES:
                        if name in values:
                            values[name] = intern(values[name])
                    yield self.row_type(**values)
                except (ValueError, TypeError, RecursionError) as error:
                    raise StoreError(
                        f"{self.path}:{self.num_lines}: not a row of a stream ({error}); remove the line, it will be asked for again"
                    ) from error


def read_rows(path: Path) -> Iterator[StreamRow]:
    """All whole rows of a file."""
    return RowsFile(path).read_on()


def has_failed_rows(folder: Path) -> bool:
    """Whether a row of a stream, or of answers, may have failed for good; found without parsing any."""
    for path in sorted(folder.glob("rows-*.jsonl")):
        with path.open("rb") as file:
            if any(_FAILED in line for line in file):
                return True
    return False


def open_folder(store: Store, stage: str, key: str, identity: dict[str, Any]) -> Path:
    """The folder of a stage whose rows are appended, made with its meta.json when it is new."""
    folder = store.path(stage, key)
    if store.find(stage, key) is None:
        with explain_os_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            temporary = folder / f".meta.{uuid.uuid4().hex[:8]}"
            write_json(temporary, artifact_meta(stage, key, identity))
            temporary.replace(folder / "meta.json")
    return folder
