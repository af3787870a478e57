"""Runs `run.py` again and again, each time for the price of a fork: this process has imported the packages, its children are the runs.

    python -m tests.faults.forked        reads one JSON `Start` a line; prints 'start PID', and 'end PID CODE' once a run has ended

A child executes run.py as `python run.py ARGUMENTS` does, in a session of its own. A `Fault` strikes at the file operations that it does in
the store: opens for writing, writes, syncs, links, renames, removals, counted from 1.
"""

import importlib
import json
import os
import runpy
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CHANGES = {"os.rename": 1, "os.link": 1, "os.mkdir": 0, "os.remove": 0, "os.rmdir": 0}
"""Audit events that change a folder, and which of their arguments names the path that comes or goes."""
FREEING = ("os.remove", "os.rmdir", "os.rename")
"""What also a full disk allows."""
TORN, SLOW, CLOCK = "torn", "slow", "clock"
SLOW_S = 0.02
CLOCK_S = 3 * 86400.0


@dataclass(frozen=True)
class Fault:
    """What strikes, and when."""

    at: int = 0
    """The number of a file operation; 0: never, they are only counted."""
    how: str = ""
    """A signal's name (sent to itself ahead of the operation); TORN: half of a write and then SIGKILL. From the operation on: an error's
    number, for all but what a full disk allows; SLOW: SLOW_S each; CLOCK: time.time() has jumped by CLOCK_S, -CLOCK the other way."""
    until: str = ""
    """SIGKILL at the first operation whose path holds this: what comes later isn't of interest."""


@dataclass(frozen=True)
class Start:
    """One run."""

    arguments: tuple[str, ...]
    store: str
    """Operations below this folder count."""
    log: str
    """Takes what it prints; its file operations go to this path with .operations behind it."""
    fault: Fault = Fault()
    stale_s: float = 180.0
    """japagen.store.locks.STALE_S, so that nobody has to wait for it."""
    look_s: float = 30.0
    """japagen.llm.server.LOOK_EVERY_S, and six times its ANSWER_S, likewise."""


class Operations:
    """Counts a process's file operations in the store, and strikes."""

    def __init__(self, store: str, fault: Fault, log: int) -> None:
        self._store, self._fault, self._log = f"{store}/", fault, log
        self._num = 0
        self._descriptors: set[int] = set()
        self._open, self._write, self._sync, self._close, self._time = os.open, os.write, os.fsync, os.close, time.time

    def watch(self) -> None:
        """From now on. Python's audit events tell of all but writes and syncs through os, which are wrapped."""
        os.open, os.write, os.fsync, os.close = self.open, self.write, self.sync, self.close  # type: ignore[assignment]
        sys.addaudithook(self.hear)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Audit hook."""
        if event == "open" and self._is_ours(arguments[0]):
            mode, flags = arguments[1], arguments[2] or 0
            if flags & (os.O_WRONLY | os.O_RDWR) or (mode and set("wax+") & set(mode)):
                self._strike(f"open {arguments[0]}")
        elif event in CHANGES and self._is_ours(path := arguments[CHANGES[event]]):
            self._strike(f"{event} {path}")

    def open(self, path: Any, *arguments: Any, **named: Any) -> int:
        """os.open."""
        descriptor = self._open(path, *arguments, **named)
        if self._is_ours(path):
            self._descriptors.add(descriptor)
        return descriptor

    def write(self, descriptor: int, data: bytes) -> int:
        """os.write."""
        if descriptor not in self._descriptors:
            return self._write(descriptor, data)
        self._strike("write", lambda: self._write(descriptor, data[: len(data) // 2]))
        return self._write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """os.fsync."""
        self._strike("sync")
        self._sync(descriptor)

    def close(self, descriptor: int) -> None:
        """os.close."""
        self._descriptors.discard(descriptor)
        self._close(descriptor)

    def _is_ours(self, path: Any) -> bool:
        return isinstance(path, str | os.PathLike) and os.fspath(path).startswith(self._store)

    def _strike(self, operation: str, tear: Callable[[], object] = lambda: None) -> None:
        self._num += 1
        self._write(self._log, f"{operation}\n".encode())
        at, how, until = self._fault.at, self._fault.how, self._fault.until
        if until and until in operation:
            os.kill(os.getpid(), signal.SIGKILL)
        if not at or self._num < at:
            return
        if how == SLOW:
            time.sleep(SLOW_S)  # the fault itself: a slow file system
        elif how.endswith(CLOCK):
            jump_s = -CLOCK_S if how.startswith("-") else CLOCK_S
            time.time = lambda: self._time() + jump_s  # type: ignore[assignment]
        elif how.isdigit():
            if not operation.startswith(FREEING):
                raise OSError(int(how), os.strerror(int(how)))
        elif self._num == at:
            if how == TORN:
                tear()
            os.kill(os.getpid(), signal.SIGKILL if how == TORN else signal.Signals[how])


def run(start: Start) -> None:
    """Makes this process the run."""
    import japagen.llm.server
    import japagen.store.locks

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # what comes ahead of run.py is no business of its
    os.setsid()
    out = os.open(start.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    for descriptor in (1, 2):
        os.dup2(out, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    japagen.store.locks.STALE_S = start.stale_s
    japagen.llm.server.LOOK_EVERY_S, japagen.llm.server.ANSWER_S = start.look_s, start.look_s / 6
    operations = os.open(f"{start.log}.operations", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    Operations(start.store, start.fault, operations).watch()
    sys.argv = [str(ROOT / "run.py"), *start.arguments]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    runpy.run_path(sys.argv[0], run_name="__main__")


def import_all() -> None:
    """What a run imports, so that its forks needn't."""
    for name in (
        "matplotlib.figure", "pyarrow.parquet", "sklearn.linear_model", "hydra_plugins.japagen_launcher", "japagen.reporting.html.page",
        "japagen.training.student", "launch.execute",
    ):  # fmt: skip
        importlib.import_module(name)
    _ = importlib.import_module("transformers").AutoModelForSequenceClassification


def main() -> None:
    """Imports, then starts a run for each line, until standard input closes."""
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    import_all()
    print("ready", flush=True)
    pending, is_open, num_running = b"", True, 0
    while is_open or num_running:
        if is_open and select.select([0], [], [], 0.01)[0]:
            chunk = os.read(0, 65536)
            is_open, pending = bool(chunk), pending + chunk
        *lines, pending = pending.split(b"\n")
        for line in lines:
            values = json.loads(line)
            if (pid := os.fork()) == 0:
                run(Start(**values | {"arguments": tuple(values["arguments"]), "fault": Fault(**values["fault"])}))
                return
            num_running += 1
            print("start", pid, flush=True)
        while num_running and (ended := os.waitpid(-1, os.WNOHANG))[0]:
            num_running -= 1
            print("end", ended[0], os.waitstatus_to_exitcode(ended[1]), flush=True)


if __name__ == "__main__":
    main()
