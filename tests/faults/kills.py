"""Seeded loops of kills: the same command, killed at random moments and started again until it ends by itself; and what came of it.

A kill is a signal at a random moment of a stage, sent from outside, or at a random file operation in the store (`tests.faults.forked`),
where SIGKILL may also tear a write in two. What must hold is judged from outside: by the server's list of requests and the store's files.
"""

import random
import shutil
import signal
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from tests.faults.forked import TORN, Fault
from tests.faults.program import Ended, Forker, Kept, Run, left_behind, made, read_kept, start_fresh
from tests.faults.server import MODEL, Running

LIMIT = 16
"""Requests that a run keeps open: what may be in flight when it dies."""
NUM_PER_LABEL = 40
NUM_FIRST = 20
"""File operations at every start, for the sweep's folder and locks."""
LATENCY_S = 0.03
MOST_KILLS = 12
"""In one loop; the next start is left alone."""
SIGNALS = ("SIGKILL", "SIGKILL", "SIGTERM", "SIGINT")
TEXTS, WHOLE, STUDENT = "texts", "whole", "student"
KINDS = (WHOLE, TEXTS, STUDENT, TEXTS)
"""Loops from nothing to the result, from nothing to the data set, from the data set to the result; the seed decides."""
STAGES = ("start", "generation", "curation", "training", "publication")
PLACES = {"streams": "generation", "datasets": "curation", "models": "training", "work": "training", "results": "publication"}
"""Folder of the store -> the stage that writes there."""
BEYOND = "/models/"
"""In the path of the first file operation after the data set was published."""


@dataclass(frozen=True)
class Kill:
    """One kill, and what the next start did about it."""

    seed: int
    task: str
    signal: str
    how: str
    """moment, operation, torn; with 'fresh ' before it: a process of its own, not a fork."""
    stage: str
    code: int
    message: str
    rows_lost: int
    """Rows that stood in the files at the kill, and don't after the next start."""
    in_flight: int
    """Requests of the killed start whose rows weren't in the files."""
    repeated: int
    """Of the next start's requests those that had been sent before."""
    repeated_stored: int
    """Of these, those whose rows were in the files."""
    processes_left: int
    printed: str
    """All that it printed, where that holds a traceback."""

    @property
    def is_well(self) -> bool:
        """Whether nothing was lost, asked for although it stood, left running, or told by a traceback."""
        return not (self.rows_lost or self.repeated_stored or self.processes_left or self.printed or self.in_flight > LIMIT)


@dataclass(frozen=True)
class Loop:
    """One command's way to its end."""

    seed: int
    task: str
    kind: str
    """One of KINDS."""
    kills: tuple[Kill, ...]
    ended: str
    """'' where it ended well; else the code and the end of what it printed."""
    rows_twice: int
    differing: tuple[str, ...]
    """Of what an undisturbed run makes, what came out otherwise."""
    num_ignored: int
    """Signals that came in time and didn't end a run."""
    left_behind: tuple[str, ...]
    """Locks, temporary files and half-done work; what lies there after SIGKILL is ignored by all, and gone after `japagen gc`."""

    @property
    def is_well(self) -> bool:
        """Whether it came to the end of an undisturbed run, and asked again for no more than what had been in flight."""
        is_same = not (self.ended or self.differing or self.rows_twice)
        num_repeated, num_in_flight = sum(one.repeated for one in self.kills), sum(one.in_flight for one in self.kills)
        return is_same and num_repeated <= num_in_flight and all(one.is_well for one in self.kills)


@dataclass(frozen=True)
class Reference:
    """An undisturbed run."""

    made: dict[str, str]
    num_operations: int
    num_to_dataset: int
    """Of these, those until the data set was published."""
    seconds: dict[str, float]
    """How long its stages took."""


@dataclass
class Killer:
    """Runs loops of one task against one server."""

    task: str
    server: Running
    forker: Forker
    folder: Path
    share_fresh: float = 0.0
    """Of starts that are processes of their own."""

    def arguments(self, store: Path) -> tuple[str, ...]:
        """Of run.py."""
        return (
            f"task={self.task}", f"llm.base_url={self.server.base_url}", f"llm.id={MODEL}", f"num_per_label={NUM_PER_LABEL}",
            "train.epochs=2", "train.validations_per_epoch=2", "logger=none", f"synthesis.concurrency={LIMIT}",
            "synthesis.texts_per_request=2", f"store={store}", f"hydra.run.dir={self.folder}/hydra",
        )  # fmt: skip

    @property
    def undisturbed(self) -> Path:
        """The store of `reference`."""
        return self.folder / f"{self.task}-undisturbed"

    @cached_property
    def reference(self) -> Reference:
        """Made once."""
        store = self.undisturbed
        shutil.rmtree(store, ignore_errors=True)
        self.server.plan(latency_s=LATENCY_S)
        run, began, begins = self.forker.start(self.arguments(store), store, self.folder / "log"), time.monotonic(), dict[str, float]()
        while not run.is_over:
            for stage in STAGES:
                if stage not in begins and _has_begun(stage, run, store):
                    begins[stage] = time.monotonic() - began
            time.sleep(0.005)  # between looks, so that the moment at which a stage begins is known
        ended = run.wait()
        assert ended.code == 0, ended.printed
        ends = [*begins.values(), time.monotonic() - began][1:]
        seconds = {stage: end - begins[stage] for stage, end in zip(begins, ends, strict=True)}
        num_to_dataset = next(number for number, operation in enumerate(ended.operations) if BEYOND in operation)
        return Reference(made(store), len(ended.operations), num_to_dataset, seconds)

    def loop(self, seed: int) -> Loop:
        """The loop of this seed; its store is left where anything is amiss."""
        draw, store, kind = random.Random(f"{self.task}/{seed}"), self.folder / f"{self.task}-{seed}", KINDS[seed // 2 % len(KINDS)]
        wanted = self.reference.made
        shutil.rmtree(store, ignore_errors=True)
        for part in ("streams", "datasets") if kind == STUDENT else ():
            shutil.copytree(self.undisturbed / part, store / part)
        kills: list[Kill] = []
        asked: set[int] = set()
        kept = read_kept(store)
        last: _Struck | None = None
        while True:
            self.server.plan(latency_s=LATENCY_S, seed=seed)
            struck = self._start(draw, store, kind, is_last=len(kills) == MOST_KILLS)
            requests, now = self.server.requests(), read_kept(store)
            if last is not None:
                again = [(first, n) for first, n, _ in requests if first in asked]
                num_lost = sum(now.rows.get(place) != row for place, row in kept.rows.items())
                kills.append(self._judge(seed, last, num_lost, len(again), sum(_has(kept, first, n) for first, n in again)))
            asked.update(first for first, _, _ in requests)
            kept, last = now, replace(struck, in_flight=sum(not _has(now, first, n) for first, n, _ in requests))
            if not struck.signal:
                break
        ended = last.ended
        is_well = ended.code == 0 if kind != TEXTS else bool(ended.operations) and BEYOND in ended.operations[-1]
        found = made(store)
        names = {name for name in found.keys() | wanted.keys() if kind != TEXTS or name.startswith("datasets/")}
        loop = Loop(
            seed, self.task, kind, tuple(kills),
            "" if is_well else f"{ended.code}: {ended.printed[-3000:]}",
            kept.num_twice,
            tuple(sorted(name for name in names if found.get(name) != wanted.get(name))),
            int(last.is_ignored),
            tuple(left_behind(store)) if kind != TEXTS else (),
        )  # fmt: skip
        if loop.is_well:
            shutil.rmtree(store)
        return loop

    def _judge(self, seed: int, struck: "_Struck", num_lost: int, num_repeated: int, num_stored: int) -> Kill:
        ended = struck.ended
        printed = ended.printed if ended.message.startswith("Traceback") else ""
        return Kill(
            seed, self.task, struck.signal, struck.how, _stage(ended), ended.code, ended.message, num_lost, struck.in_flight,
            num_repeated, num_stored, ended.processes_left, printed,
        )  # fmt: skip

    def _start(self, draw: random.Random, store: Path, kind: str, is_last: bool) -> "_Struck":
        """One start and its end."""
        arguments, log, until = self.arguments(store), self.folder / "log", BEYOND if kind == TEXTS else ""
        if is_last:
            return _Struck(self.forker.start(arguments, store, log, Fault(until=until)).wait())
        name, is_fresh = draw.choice(SIGNALS), kind != TEXTS and draw.random() < self.share_fresh
        how = "moment" if is_fresh else draw.choice(("moment", "operation", "operation", TORN))
        if how != "moment":
            num, num_to_dataset = self.reference.num_operations, self.reference.num_to_dataset
            at = draw.randrange(1, {TEXTS: num_to_dataset, WHOLE: num, STUDENT: num - num_to_dataset + NUM_FIRST}[kind])
            ended = self.forker.start(arguments, store, log, Fault(at, TORN if how == TORN else name, until)).wait()
            return _struck(ended, len(ended.operations) >= at, "SIGKILL" if how == TORN else name, how, until)
        stage = draw.choice({TEXTS: STAGES[:3], WHOLE: STAGES, STUDENT: STAGES[3:]}[kind])
        delay_s = draw.random() * self.reference.seconds.get(stage, 0.5) * (4 if is_fresh and stage == "start" else 1)
        run = start_fresh(arguments, log) if is_fresh else self.forker.start(arguments, store, log, Fault(until=until))
        while not run.is_over and not _has_begun(stage, run, store):
            time.sleep(0.002)  # between looks: a stage may last a few milliseconds
        end = time.monotonic() + delay_s
        while not run.is_over and time.monotonic() < end:
            time.sleep(0.002)  # the random moment of the kill, unless it ends before
        is_in_time = not run.is_over
        run.strike(getattr(signal, name))
        return _struck(run.wait(), is_in_time, name, f"{'fresh ' * is_fresh}moment", until)


@dataclass(frozen=True)
class _Struck:
    """A start's end."""

    ended: Ended
    signal: str = ""
    """'': none came in time."""
    how: str = ""
    is_ignored: bool = False
    in_flight: int = 0


def _struck(ended: Ended, is_in_time: bool, name: str, how: str, until: str) -> _Struck:
    is_through = ended.code == 0 or bool(until and ended.operations and until in ended.operations[-1])
    return _Struck(ended, name if is_in_time and not is_through else "", how, is_in_time and ended.code == 0)


def _has(kept: Kept, first: int, n: int) -> bool:
    """Whether all rows of a request stand in the files."""
    return kept.seeds.issuperset(range(first, first + n))


def _has_begun(stage: str, run: Run, store: Path) -> bool:
    """Whether signs of the stage are seen from outside."""
    if stage == "start":
        return True
    if stage == "generation":
        return "work for" in run.printed
    if stage == "curation":
        return any(name.startswith("dataset-") for name in _names(store / "locks")) or (store / "datasets").exists()
    if stage == "training":
        return ": training " in run.printed
    return bool(_names(store / "results"))


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []


def _stage(ended: Ended) -> str:
    """Where a run was when it ended: after its last file operation in a stage's folder."""
    for operation in reversed(ended.operations):
        for folder, stage in PLACES.items():
            if f"/{folder}/" in operation:
                return stage
    return "training" if ": training " in ended.printed else "generation" if "work for" in ended.printed else "start"
