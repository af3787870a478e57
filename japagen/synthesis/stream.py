"""A stream as a function, and its rows on disk.

The row with index i of label y is decided by (key, y, i) alone: the order of the exemplars, the seed, the request it is
part of (request r = i div n carries n rows). Turn 0 of a pair depends on (key, i) only, so one first sentence serves every
label and gives none away. Rows are appended raw to `rows-*.jsonl`, one file per writer; readers ignore a torn last line,
and for an index written twice the first row in file order counts. Who writes which rows, `japagen.synthesis.claims` says.
"""

import errno
import hashlib
import json
import os
import random
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from operator import attrgetter
from pathlib import Path
from sys import intern
from typing import Any

from japagen.errors import StoreError
from japagen.prompts import Message, Prompting, attributes_of, first_messages, messages, phrases_of, wordings
from japagen.store import Store, artifact_meta, explain_os_errors, write_json
from japagen.synthesis.verbalized import list_phrase
from japagen.tasks import WORDING, Attribute, Example, Label, Task

SYNC_S = 5.0
"""Appended rows reach the disk at least this often (a killed process loses none; a power cut at most these)."""

Place = tuple[str, int, int]
"""(label, index, turn); the label is '' for turn 0 of a pair."""

_encode = json.JSONEncoder(ensure_ascii=False).encode
_FAILED = _encode({"finish_reason": "error"}).strip("{}").encode()
"""Stands in failed rows' lines only: within a text quotes are escaped."""
_FEW_VALUES = ("label", "finish_reason")
"""Fields of which a million rows hold a handful of strings."""


@dataclass(frozen=True, slots=True)
class Row:
    """One reply, raw. A request's token counts stand on the first of its rows."""

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
    def place(self) -> Place:
        return self.label, self.index, self.turn


@dataclass(frozen=True)
class Ask:
    """One request of the stream: `num_rows` rows from `index` on."""

    label: str
    index: int
    turn: int
    num_rows: int
    seed: int
    messages: tuple[Message, ...]
    attributes: dict[str, str] = field(default_factory=dict)
    """What was drawn for this request."""
    temperature: float | None = None
    """None: the LLM's own."""
    verbalized: bool = False
    """Whether one reply lists all its texts."""

    @property
    def places(self) -> list[Place]:
        return [(self.label, self.index + j, self.turn) for j in range(self.num_rows)]


@dataclass(frozen=True)
class Stream:
    """What decides every prompt and seed of a stream."""

    key: str
    task: Task
    prompting: Prompting
    exemplars: dict[str, tuple[Example, ...]]
    texts_per_request: int
    identity: dict[str, Any] = field(repr=False, default_factory=dict)
    attributes: Sequence[Attribute] = ()
    """A value of each is drawn for every request."""
    variants: bool = False
    """Labels are asked for in each of their wordings in turn."""
    temperatures: Sequence[float] = ()
    """One a request, in turn; a pair's second sentence has its first one's. None: the LLM's own."""
    verbalized: bool = False
    """A request for texts_per_request texts is one reply that lists them (`japagen.synthesis.verbalized`)."""

    def ask(self, label: str, index: int) -> Ask:
        """The request that carries row `index`: of `label`, or, where `label` is '', of turn 0 of a pair."""
        request, n = index // self.texts_per_request, self.texts_per_request
        drawn = self._drawn(label, request) | self._wording(label, request)
        built, seed = self._opening(label, request * n, drawn), self._seed(label, 0, request * n)
        return Ask(label, request * n, 0, n, seed, tuple(built), drawn, self._temperature(request), self.verbalized)

    def second_ask(self, label: str, index: int, first: str) -> Ask:
        """Turn 1 of a pair: the request for the second sentence of `label` after the first sentence `first`."""
        request = index // self.texts_per_request
        drawn = self._drawn("", request) | self._wording(label, index)
        built, seed = self._second(label, index, first, drawn), self._seed(label, 1, index)
        return Ask(label, index, 1, 1, seed, tuple(built), drawn, self._temperature(request))

    def longest_prompts(self, turn: int) -> list[list[Message]]:
        """Each label's request of `turn` with the longest values and wording that may be drawn, and as long a first sentence as may be."""
        prompts = []
        for label in self.task.labels:
            opening = "" if self.task.is_pair else label.name
            drawn = {one.name: max(one.values, key=len) for one in attributes_of(self.attributes, opening)}
            if self.variants:
                asked = wordings(label, self.prompting)
                drawn[WORDING] = str(1 + asked.index(max(asked, key=len)))
            first = "あ" * self.task.max_chars
            prompts.append(self._opening(opening, 0, drawn) if turn == 0 else self._second(label.name, 0, first, drawn))
        return prompts

    def texts_per_reply(self, turn: int) -> int:
        """How many texts one completion of `turn` holds."""
        return self.texts_per_request if self.verbalized and turn == 0 else 1

    def _opening(self, label: str, index: int, drawn: Mapping[str, str]) -> list[Message]:
        """Turn 0 of the request that begins at `index`."""
        phrases = phrases_of(self.attributes, drawn)
        if self.verbalized:
            phrases.append(list_phrase(self.texts_per_request))
        if not label:
            return first_messages(self.task, self.prompting, self._shown_firsts(index), phrases)
        chosen = self._label(label)
        shown = self._shown(chosen, index)
        return messages(self.task, self.prompting, chosen, shown, phrases=phrases, wording=_position(drawn))

    def _second(self, label: str, index: int, first: str, drawn: Mapping[str, str]) -> list[Message]:
        """Turn 1 after a turn 0 that asked for this one sentence, also where a list was asked for."""
        chosen, phrases = self._label(label), phrases_of(self.attributes, drawn)
        firsts = self._shown_firsts(index - index % self.texts_per_request)
        return messages(self.task, self.prompting, chosen, self._shown(chosen, index), first, firsts, phrases, _position(drawn))

    def _label(self, name: str) -> Label:
        return self._labels[name]

    @cached_property
    def _labels(self) -> dict[str, Label]:
        return {one.name: one for one in self.task.labels}

    def _drawn(self, label: str, request: int) -> dict[str, str]:
        """Attribute -> the value that a request shows."""
        drawn = {}
        for attribute in attributes_of(self.attributes, label):
            drawn[attribute.name] = attribute.values[self._in_turn(label, attribute.name, len(attribute.values), request)]
        return drawn

    def _wording(self, label: str, request: int) -> dict[str, str]:
        """The number of the wording that asks for the label's text, from 1; nothing where the label has but one."""
        if not self.variants or not label or not self._label(label).variants:
            return {}
        return {WORDING: str(1 + self._in_turn(label, WORDING, len(wordings(self._label(label), self.prompting)), request))}

    def _in_turn(self, label: str, name: str, num: int, request: int) -> int:
        """Of every `num` requests, each of `num` positions once, in a seeded order."""
        round_, position = divmod(request, num)
        return _order(f"{self.key}/{label}/{name}/{round_}", num)[position]

    def _temperature(self, request: int) -> float | None:
        return self.temperatures[request % len(self.temperatures)] if self.temperatures else None

    def _shown(self, label: Label, index: int) -> list[tuple[str, ...]]:
        return [example.texts for example in self._shuffled(self.exemplars.get(label.name, ()), label.name, index)]

    def _shown_firsts(self, index: int) -> list[str]:
        pooled = [example for examples in self.exemplars.values() for example in examples]
        return list(dict.fromkeys(example.texts[0] for example in self._shuffled(pooled, "", index)))

    def _shuffled(self, examples: Sequence[Example], label: str, index: int) -> list[Example]:
        """The same exemplars for every request, in an order of its own."""
        shuffled = list(examples)
        if len(shuffled) > 1:  # a generator takes longer to make than all else of a request
            random.Random(f"{self.key}/{label}/{index}").shuffle(shuffled)
        return shuffled

    def _seed(self, label: str, turn: int, index: int) -> int:
        """Seed of a request; vLLM gives its j-th text seed + j, so consecutive requests never share one."""
        return self._first_seeds[label, turn] + index

    @cached_property
    def _first_seeds(self) -> dict[tuple[str, int], int]:
        def first(label: str, turn: int) -> int:
            return int.from_bytes(hashlib.sha256(f"{self.key}/{label}/{turn}".encode()).digest()[:6], "big")

        return {(label, turn): first(label, turn) for label in ("", *self.task.label_names) for turn in (0, 1)}


@lru_cache(maxsize=64)
def _order(seed: str, num: int) -> list[int]:
    order = list(range(num))
    random.Random(seed).shuffle(order)
    return order


def _position(drawn: Mapping[str, str]) -> int:
    return int(drawn.get(WORDING, 1)) - 1


class StreamRows:
    """The rows of one stream, in memory and on disk."""

    def __init__(self, folder: Path, row_type: Any = Row) -> None:
        """`row_type`: dataclass with a hashable `place` and a `finish_reason`; other stages keep their rows in this form too."""
        self.folder, self._row_type = folder, row_type
        self._names = tuple(field.name for field in fields(row_type))
        self._values = attrgetter(*self._names)
        self._rows: dict[Any, Any] = {}
        self._forgotten: dict[tuple[str, int], bytearray] = {}
        """(label, turn) -> for each index whether its row stands on the disk and no longer in memory."""
        self._num_forgotten = 0
        self._held: list[Row] = []
        self._file: int | None = None
        self._synced, self._is_synced = time.monotonic(), True
        self._own: set[str] = set()
        """Names of the files that we write."""
        self._others: dict[str, RowsFile] = {}
        self.is_disputed = False
        """Whether a row came that we had otherwise, or have forgotten: another file's may be the first in file order, as only a fresh
        reading tells."""
        for path in sorted(folder.glob("rows-*.jsonl")):
            for row in self._read_on(path):
                self._rows.setdefault(row.place, row)

    def refresh(self) -> list[Row]:
        """Takes in what other writers have appended since the last look; ours reach the disk, so that others see them."""
        self._sync()
        fresh = []
        for path in sorted(self.folder.glob("rows-*.jsonl")):
            for row in self._read_on(path) if path.name not in self._own else ():
                if not self.has(row.place):
                    self._rows[row.place] = row
                    fresh.append(row)
                else:
                    self.is_disputed |= self._rows.get(row.place) != row
        return fresh

    def _read_on(self, path: Path) -> Iterator[Row]:
        return self._others.setdefault(path.name, RowsFile(path, self._row_type)).read_on()

    def __len__(self) -> int:
        """All rows, the forgotten ones too."""
        return len(self._rows) + self._num_forgotten

    def __iter__(self) -> Iterator[Row]:
        """Those in memory."""
        return iter(self._rows.values())

    def has(self, place: Any) -> bool:
        """Whether the row stands, be it forgotten."""
        if place in self._rows:
            return True
        if not self._forgotten:
            return False
        label, index, turn = place
        marks = self._forgotten.get((label, turn), b"")
        return index < len(marks) and marks[index] == 1

    def forget(self, place: Place) -> None:
        """Drops a stream's row from memory, all but that it stands: nobody will read it again, and long streams would fill the memory."""
        if self._rows.pop(place, None) is None:
            return
        label, index, turn = place
        marks = self._forgotten.setdefault((label, turn), bytearray())
        if index >= len(marks):
            marks.extend(bytes(index + 1 - len(marks)))
        marks[index] = 1
        self._num_forgotten += 1

    def get(self, label: str, index: int, turn: int) -> Row | None:
        return self._rows.get((label, index, turn))

    def find(self, place: Any) -> Any:
        """The row at `place`, or None."""
        return self._rows.get(place)

    def append(self, rows: Iterable[Any]) -> None:
        """Takes rows of whole requests into memory and, in one write, onto the disk; rows that stand already are left.

        Rows of failed requests wait in memory for the next reply that succeeds: a server that answers nothing but errors
        leaves none behind, and the same command asks it again.
        """
        fresh: dict[Any, Any] = {}
        for row in rows:
            if not self.has(place := row.place):
                fresh.setdefault(place, row)
        self._held += fresh.values()
        if any(row.finish_reason != "error" for row in fresh.values()):
            self.write_held()
        self._rows |= fresh

    def write_held(self) -> None:
        """Writes failed rows that still wait: others wait for them, or what the stream was filled for counts on them."""
        if self._held:
            self._write(self._held)
            self._held = []

    def _write(self, rows: Sequence[Row]) -> None:
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
    row_type: Any = Row
    num_bytes: int = 0
    num_lines: int = 0

    def read_on(self) -> Iterator[Row]:
        """Its rows from here on; a torn last line isn't consumed until it is whole, any other broken line is a StoreError.

        Torn is also a line with a hole in it: a shared file system may show a file's end before what stands ahead of it.
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
                except (ValueError, TypeError) as error:
                    raise StoreError(
                        f"{self.path}:{self.num_lines}: not a row of a stream ({error}); remove the line, it will be asked for again"
                    ) from error


def read_rows(path: Path) -> Iterator[Row]:
    """All whole rows of a file."""
    return RowsFile(path).read_on()


def has_failed_rows(folder: Path) -> bool:
    """Whether a row of a stream, or of answers, may have failed for good; told without parsing any."""
    for path in sorted(folder.glob("rows-*.jsonl")):
        with path.open("rb") as file:
            if any(_FAILED in line for line in file):
                return True
    return False


def open_rows(store: Store, stream: Stream) -> StreamRows:
    """The stream's rows for a writer; its folder and meta.json are made when it is new."""
    return StreamRows(open_folder(store, "stream", stream.key, stream.identity))


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
