"""The program under test, as processes: started, struck, waited for; and what its store holds afterwards."""

import hashlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import psutil

from tests.faults.forked import ROOT, Fault, Start

TIMEOUT_S = 300.0
NEVER = Fault()


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    code: int
    """Exit status, or minus the signal's number."""
    printed: str
    operations: tuple[str, ...]
    """What it did to files of the store."""
    processes_left: int

    @property
    def message(self) -> str:
        """The last error that it printed, else its last line; 'Traceback: …' where it printed one."""
        lines = [line.strip() for line in self.printed.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith(("error: ", "failed: "))]
        last = (errors or lines or [""])[-1]
        return f"Traceback: {last}" if "Traceback (most recent call last)" in self.printed else last


@dataclass
class Run:
    """A run under way."""

    pid: int
    log: Path
    _ends: "queue.Queue[str]"

    @property
    def printed(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def strike(self, number: int) -> None:
        """Sends a signal, unless it has ended by now."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    @property
    def is_over(self) -> bool:
        return not self._ends.empty()

    def wait(self) -> Ended:
        """Once it has ended."""
        code = int(self._ends.get(timeout=TIMEOUT_S))
        path = Path(f"{self.log}.operations")
        operations = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return Ended(code, self.printed, tuple(operations), len(processes_of(self.pid)))


class Forker:
    """A process that has imported the program; each run is a fork of it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._starts: queue.Queue[int] = queue.Queue()
        self._ends: dict[int, queue.Queue[str]] = {}
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        threading.Thread(target=self._read, args=(process.stdout,), daemon=True).start()

    def _read(self, lines: IO[str]) -> None:
        for line in lines:
            what, pid, *code = line.split()
            if what == "start":
                self._ends[int(pid)] = queue.Queue()
                self._starts.put(int(pid))
            else:
                self._ends[int(pid)].put(code[0])

    def start(
        self, arguments: tuple[str, ...], store: Path, log: Path, fault: Fault = NEVER, stale_s: float = 180.0, look_s: float = 30.0
    ) -> Run:
        """`run.py` with `arguments`."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asdict(Start(arguments, str(store), str(log), fault, stale_s, look_s))) + "\n")
        self._process.stdin.flush()
        pid = self._starts.get(timeout=TIMEOUT_S)
        return Run(pid, log, self._ends[pid])


@contextmanager
def forker() -> Iterator[Forker]:
    """One thread a run, so that a student comes out bit by bit the same; vLLM's workers may share a NUMA node."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HYDRA_FULL_ERROR": "1", "JAPAGEN_DEBUG": "", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    command = [sys.executable, "-m", "tests.faults.forked"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment)
    try:
        yield Forker(process)
    finally:
        process.kill()
        process.wait()


def start_fresh(arguments: tuple[str, ...], log: Path, more: Mapping[str, str] | None = None) -> Run:
    """`python run.py` as a user starts it."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "JAPAGEN_DEBUG": ""} | dict(more or {})
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "run.py"), *arguments],
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT, env=environment, start_new_session=True,
        )  # fmt: skip
    Path(f"{log}.operations").unlink(missing_ok=True)
    ends: queue.Queue[str] = queue.Queue()
    threading.Thread(target=lambda: ends.put(str(process.wait())), daemon=True).start()
    return Run(process.pid, log, ends)


def processes_of(session: int) -> list[int]:
    """Processes of the session that a run was the leader of."""
    found = []
    for pid in psutil.pids():
        with suppress(ProcessLookupError, PermissionError):
            if os.getsid(pid) == session and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
    return found


@dataclass(frozen=True)
class Kept:
    """A store's rows, as its files tell."""

    rows: dict[tuple[str, int, int], dict[str, Any]] = field(default_factory=dict)
    num_twice: int = 0
    """Whole lines whose place another line has too."""

    @cached_property
    def seeds(self) -> frozenset[int]:
        return frozenset(row["seed"] for row in self.rows.values())


def read_kept(store: Path) -> Kept:
    """All whole lines of all files of the store's one stream that can be read."""
    rows: dict[tuple[str, int, int], dict[str, Any]] = {}
    places: Counter[tuple[str, int, int]] = Counter()
    for path in sorted(store.glob("streams/*/rows-*.jsonl")):
        for line in path.read_bytes().split(b"\n")[:-1]:
            try:
                row = json.loads(line)
            except ValueError:  # spoilt on purpose
                continue
            place = row["label"], row["index"], row["turn"]
            places[place] += 1
            rows.setdefault(place, row)
    return Kept(rows, sum(count - 1 for count in places.values()))


def made(store: Path) -> dict[str, str]:
    """What must be the same whatever happened on the way: checksums of the data set and the student, and the scores."""
    files = [*store.glob("datasets/*/*.parquet"), *store.glob("datasets/*/rejects.jsonl"), *store.glob("models/*/model.safetensors")]
    found = {str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    for path in store.glob("results/*/result.json"):
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:  # spoilt on purpose
            continue
        scores = [result[name] for name in ("metrics", "baselines", "also_scored", "num_train", "num_valid", "tokens")]
        found[str(path.relative_to(store))] = json.dumps(scores)
    return found


def left_behind(store: Path) -> list[str]:
    """Locks, temporary files and half-done work."""
    parts = ("locks/*", "*/.*", "streams/*/.*", "streams/*/claims/*", "work/*", ".*")
    found = {str(path.relative_to(store)) for part in parts for path in store.glob(part)}
    return sorted(found)
