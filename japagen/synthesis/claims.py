"""Who asks for which rows where several processes, on one machine or many, fill one stream together.

Indices come in blocks, the same for all writers. Who wants to ask for a row of a block claims it first: for single texts
the label's block, for pairs the block with its first sentences and every label's second ones. A claim is a file, made in one
step by a link that fails where the file is there already; it holds its owner's token, and the owner holds the lock
`writer-<key>-<token>`, with its heartbeat, for as long as it works. When that lock is gone, or is found stale and removed,
the claim is void: the block goes to whoever links the file of its next generation. So nothing is ever renamed or overwritten,
and of several who want a block one gets it.

A row asked for twice does no harm (the first in file order counts), so an owner who was silent for too long and wakes up
looks once a second whether its lock is still its own, and else goes on under a new token.

What the dead claimed lies there until `japagen gc` takes it away (`remove_void`).
"""

import itertools
import os
import uuid
from bisect import bisect_right
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from japagen.store.files import explain_os_errors
from japagen.store.locks import Lock, LockWatch
from japagen.store.store import Store
from japagen.synthesis.stream import Stream

FOLDER = "claims"
"""In a stream's folder."""
MOST_ROWS = 256
"""Rows of the largest blocks: 25,000 texts a label are 150 to 200 claims."""
GROWTH = 16
"""A block has a 16th of the indices before it, so that the end of a short stream is shared as well as that of a long one."""


class Blocks:
    """Cuts indices into blocks of whole requests: of one each at first, of MOST_ROWS rows later; decided by n alone."""

    def __init__(self, texts_per_request: int) -> None:
        self._n = texts_per_request
        self._starts = [0]

    def start(self, index: int) -> int:
        """The first index of the block that `index` is in."""
        while self._starts[-1] <= index:
            last = self._starts[-1]
            num_requests = min(max(last // self._n // GROWTH, 1), max(MOST_ROWS // self._n, 1))
            self._starts.append(last + num_requests * self._n)
        return self._starts[bisect_right(self._starts, index) - 1]


class Claims:
    """One writer's claims; a context manager around its work, whose end gives them back."""

    def __init__(self, store: Store, stream: Stream) -> None:
        self.folder = store.path("stream", stream.key) / FOLDER
        self._store, self._key = store, stream.key
        self._blocks = Blocks(stream.texts_per_request)
        self._lanes = {label: number for number, label in enumerate(["", *stream.task.label_names])}
        self._own: dict[str, Path] = {}
        self._refused: dict[str, str] = {}
        """Block -> its owner, who works on it as far as we know."""
        self._watches: dict[str, LockWatch] = {}
        self._locks = ExitStack()

    def __enter__(self) -> Self:
        with explain_os_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._begin()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """The caller's rows are on the disk by now: who claims a block next looks for them before it asks."""
        with self._locks, explain_os_errors(self.folder):
            if self._lock.is_held():
                for path in self._own.values():
                    path.unlink(missing_ok=True)
            self._badge(self.token).unlink(missing_ok=True)

    def _begin(self) -> None:
        self.token = uuid.uuid4().hex
        self._lock: Lock = self._locks.enter_context(self._store.lock("writer", self._owner(self.token)))
        self._own.clear()
        if self._store.lock_path("stream", self._key).exists():  # who tidies or removes looks for our lock once it has its own
            with self._store.lock("stream", self._key):
                pass
        with explain_os_errors(self.folder), self._badge(self.token).open("w", encoding="utf-8") as file:
            file.write(self.token)
            file.flush()
            os.fsync(file.fileno())

    def _owner(self, token: str) -> str:
        return f"{self._key}-{token}"

    def _badge(self, token: str) -> Path:
        """The file that all claims of an owner are links to."""
        return self.folder / f"owner-{token}"

    def owns(self, label: str, index: int) -> bool:
        """Whether the row's block is ours already; `label` is '' for pairs."""
        return self._block(label, index) in self._own

    def take(self, label: str, index: int) -> bool:
        """Whether the row's block is ours, or becomes so now: nobody has it, or nobody who works.

        A block that somebody else has stays refused, at no cost, until `forget` is called with its owner, who is gone.
        """
        block = self._block(label, index)
        if block in self._own:
            return True
        if block in self._refused:
            return False
        with explain_os_errors(self.folder):
            path, owner = self._claim(block)
        if owner == self.token:
            self._own[block] = path
            return True
        self._refused[block] = owner
        return False

    def _block(self, label: str, index: int) -> str:
        return f"{self._lanes[label]}-{self._blocks.start(index):06d}"

    def _claim(self, block: str) -> tuple[Path, str]:
        """The claim that holds, ours where none did, and its owner."""
        for generation in itertools.count():
            path = self.folder / f"{block}.{generation}"
            while (owner := _read(path)) is None:
                try:
                    os.link(self._badge(self.token), path)
                except FileExistsError:  # or a repeated answer of a shared file system: what stands there tells
                    continue
                except FileNotFoundError:  # we were taken for dead, and our badge removed
                    self._begin()
            if owner == self.token or self._lock_path(owner).exists():
                return path, owner
        raise AssertionError("unreachable")

    def _lock_path(self, token: str) -> Path:
        return self._store.lock_path("writer", self._owner(token))

    @property
    def rivals(self) -> frozenset[str]:
        """Owners of the blocks that were refused."""
        return frozenset(self._refused.values())

    def gone(self, rivals: frozenset[str]) -> frozenset[str]:
        """Which of them work no more (their locks are removed), and we ourselves where others took us for dead.

        Changes no claim, and may wait for SLURM's answer: to be called in a thread, and its answer given to `forget`.
        """
        watches = {token: self._watches.setdefault(token, LockWatch(self._lock_path(token))) for token in rivals}
        found = {token for token, watch in watches.items() if watch.is_free()}
        return frozenset(found if self._lock.is_held() else found | {self.token})

    def forget(self, gone: frozenset[str]) -> None:
        """Makes the blocks of these owners free to claim; our own too, which are then claimed anew as far as they are free."""
        for token in gone:
            self._badge(token).unlink(missing_ok=True)
            self._watches.pop(token, None)
        self._refused = {block: token for block, token in self._refused.items() if token not in gone}
        if self.token in gone:
            self._begin()


def remove_void(store: Store, key: str) -> bool:
    """Takes away a stream's claims and says whether none is left; HeldError where somebody writes it. Who begins meanwhile waits."""
    folder = store.path("stream", key) / FOLDER
    with store.lock_now("stream", key), explain_os_errors(folder):
        for path in folder.iterdir():
            path.unlink(missing_ok=True)
        return not any(folder.iterdir())


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
