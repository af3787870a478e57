"""What may befall the store, case by case: a run meets it, then the same command runs undisturbed; and what came of both.

A case begins with a store in which part of the work is done, spoils it or has a fault strike, and says what the first run must say.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.faults.forked import CLOCK, SLOW, Fault
from tests.faults.kills import BEYOND, Killer
from tests.faults.program import NEVER, Ended, Kept, made, read_kept

ENOSPC = "28"
DATASET, STUDENT, RESULT, DONE = "dataset", "student", "result", "done"
PARTS: dict[str, tuple[str, ...]] = {
    "": (),
    DATASET: ("streams",),
    STUDENT: ("streams", "datasets"),
    RESULT: ("streams", "datasets", "models"),
}
PARTS[DONE] = (*PARTS[RESULT], "results", "sweeps")
"""What is to be made next -> the store's folders in which all stands that it needs; '': nothing is there."""


@dataclass(frozen=True)
class Outcome:
    """What came of a case."""

    name: str
    code: int
    """Of the disturbed run; 0 where it ended well."""
    message: str
    """What the disturbed run said in the end; '' where it ended well."""
    rows_lost: int
    rows_twice: int
    repeated: int
    """Requests of both runs for rows that stood in the files before."""
    processes_left: int
    is_same: bool
    """Whether data set, student and score came out as undisturbed, after the second run."""
    is_silent: bool
    """Whether the disturbed run ended well with other bytes than an undisturbed one: nobody would know."""
    after: str
    """The second run's message; '' where it ended well."""
    printed: str = ""
    """All that a run printed that ended with a traceback."""


@dataclass
class Bench:
    """A place to try cases in."""

    killer: Killer
    folder: Path

    def store(self, until: str, name: str = "store") -> Path:
        """A store in which `until` is what is to be made next; '': a new one."""
        assert self.killer.reference.made
        store = self.folder / name
        shutil.rmtree(store, ignore_errors=True)
        store.mkdir()
        for part in PARTS[until]:
            shutil.copytree(self.killer.undisturbed / part, store / part)
        return store

    def try_fault(
        self, name: str, store: Path, fault: Fault = NEVER, mend: Callable[[], None] = lambda: None, stale_s: float = 180.0,
        is_whole: bool = True,
    ) -> Outcome:  # fmt: skip
        """Runs the command in the store while `fault` strikes, mends, and runs it again."""
        killer, log = self.killer, self.folder / "log"
        until = "" if is_whole else BEYOND
        before = read_kept(store)
        killer.server.plan()
        first = killer.forker.start(killer.arguments(store), store, log, Fault(fault.at, fault.how, until), stale_s).wait()
        repeated, kept = _stored_again(killer, before), read_kept(store)
        between = self._made(store, is_whole)
        mend()
        killer.server.plan()
        second = killer.forker.start(killer.arguments(store), store, log, Fault(until=until), stale_s).wait()
        repeated += _stored_again(killer, kept)
        now, wanted = read_kept(store), self._made(killer.undisturbed, is_whole)
        lost = sum(now.rows.get(place) != row for place, row in kept.rows.items())
        is_well = _is_well(first, is_whole)
        return Outcome(
            name, 0 if is_well else first.code, "" if is_well else first.message, lost, now.num_twice, repeated,
            first.processes_left + second.processes_left,
            self._made(store, is_whole) == wanted, is_well and between != wanted, "" if _is_well(second, is_whole) else second.message,
            "\n".join(one.printed for one in (first, second) if one.message.startswith("Traceback")),
        )  # fmt: skip

    def _made(self, store: Path, is_whole: bool) -> dict[str, str]:
        return {name: value for name, value in made(store).items() if is_whole or name.startswith("datasets/")}


def _is_well(ended: Ended, is_whole: bool) -> bool:
    return ended.code == 0 if is_whole else bool(ended.operations) and BEYOND in ended.operations[-1]


def _stored_again(killer: Killer, kept: Kept) -> int:
    return sum(kept.seeds.issuperset(range(first, first + n)) for first, n, _ in killer.server.requests())


def spoil(path: Path, how: str) -> None:
    """Spoils a file: 'flipped', a bit of its middle; 'halved'; 'emptied'; 'garbled', other text in it; 'broken', a line of it cut short."""
    content = bytearray(path.read_bytes())
    if how == "broken":
        lines = bytes(content).split(b"\n")
        lines[len(lines) // 2] = lines[len(lines) // 2][:20]
        content = bytearray(b"\n".join(lines))
    if how == "flipped":
        content[len(content) // 2] ^= 4
    path.write_bytes(
        {
            "broken": bytes(content),
            "flipped": bytes(content),
            "halved": bytes(content[: len(content) // 2]),
            "emptied": b"",
            "garbled": b"{]",
        }[how]
    )


BYTES = ("flipped", "halved", "emptied")
SPOILT: dict[str, tuple[str, tuple[str, ...]]] = {
    "streams/*/rows-*.jsonl": (DATASET, ("broken", "halved")),
    "streams/*/meta.json": (DATASET, ("garbled",)),
    "streams/*/sessions.jsonl": (DATASET, ("halved",)),
    "datasets/*/train.parquet": (STUDENT, BYTES),
    "datasets/*/valid.parquet": (STUDENT, BYTES),
    "datasets/*/meta.json": (STUDENT, ("garbled",)),
    "models/*/model.safetensors": (RESULT, BYTES),
    "models/*/config.json": (RESULT, ("garbled",)),
    "models/*/tokenizer.json": (RESULT, ("garbled",)),
    "models/*/meta.json": (RESULT, ("garbled",)),
    "results/*/result.json": (DONE, ("garbled",)),
    "results/*/meta.json": (DONE, ("garbled",)),
    "sweeps/*/plan.json": (DONE, ("garbled",)),
    "sweeps/*/units/student-0000.json": (DONE, ("garbled",)),
}
"""A file of the store -> what is to be made next when it is spoilt, and how it is."""


def try_spoilt(bench: Bench, pattern: str, how: str) -> Outcome:
    """A spoilt file is met by the next run; then, as messages advise, its folder is removed (of rows: the broken lines)."""
    store = bench.store(SPOILT[pattern][0])
    (path,) = store.glob(pattern)
    spoil(path, how)

    def mend() -> None:
        if pattern.startswith("streams/"):
            _mend_lines(path) if path.suffix == ".jsonl" else path.unlink()
        else:
            shutil.rmtree(path.parent, ignore_errors=True)

    is_whole = pattern != "streams/*/rows-*.jsonl"
    return bench.try_fault(f"{path.name} {how}", store, mend=mend, is_whole=is_whole)


def _mend_lines(path: Path) -> None:
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"".join(line + b"\n" for line in lines if _is_json(line)))


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def try_spoilt_checkpoint(bench: Bench, how: str) -> Outcome:
    """A run killed in training left a checkpoint, which was spoilt since. (What a bit flipped in it does, nothing tells.)"""
    store = bench.store(STUDENT)
    killer = bench.killer
    killer.server.plan()
    killer.forker.start(killer.arguments(store), store, bench.folder / "log", Fault(until="-best-")).wait()
    killer.forker.start(killer.arguments(store), store, bench.folder / "log", Fault(until=".safetensors")).wait()
    for path in store.glob("work/*/*.ckpt"):
        spoil(path, how)
    return bench.try_fault(f"checkpoint {how}", store)


def try_disk_full(bench: Bench, at: int, until: str = "") -> Outcome:
    """The disk is full from the file operation `at` on, of a run that begins where the store is done up to `until`."""
    return bench.try_fault(f"disk full from operation {at} on", bench.store(until), Fault(at, ENOSPC), is_whole=until != "")


def try_clock(bench: Bench, at: int, sign: str) -> Outcome:
    """The clock jumps by days in mid-run."""
    return bench.try_fault(f"clock jumps by {sign or '+'}3 days", bench.store(""), Fault(at, f"{sign}{CLOCK}"), is_whole=False)


def try_slow(bench: Bench) -> Outcome:
    """Every file operation takes 20 ms."""
    return bench.try_fault("slow file system: 20 ms an operation", bench.store(""), Fault(1, SLOW), is_whole=False)


def try_torn(bench: Bench) -> Outcome:
    """The last line of the rows is torn, as after a power cut."""
    store = bench.store(DATASET)
    (path,) = store.glob("streams/*/rows-*.jsonl")
    path.write_bytes(path.read_bytes()[:-40])
    return bench.try_fault("torn last line", store, is_whole=False)


def try_dead_host(bench: Bench, stage: str) -> Outcome:
    """Another machine's lock on a stage's key, whose owner says nothing any more."""
    store = bench.store({"stream": "", "dataset": DATASET, "model": STUDENT, "result": RESULT}[stage])
    key = next((bench.killer.undisturbed / f"{stage}s").iterdir()).name
    name = f"sessions-{key}" if stage == "stream" else f"{stage}-{key}"
    owner = {"host": "elsewhere", "pid": 1, "started": 0.0, "token": "t", "beat": 3, "slurm_job": None}
    (store / "locks").mkdir(exist_ok=True)
    (store / "locks" / f"{name}.lock").write_text(json.dumps(owner), encoding="utf-8")
    return bench.try_fault(f"lock of a dead host on the {stage}", store, stale_s=1.0, is_whole=stage in ("model", "result"))


def try_two_writers(bench: Bench) -> Outcome:
    """The same command twice at the same time; the second counts as the disturbance."""
    store, killer = bench.store(""), bench.killer
    killer.server.plan(latency_s=0.03)
    runs = [killer.forker.start(killer.arguments(store), store, bench.folder / f"log-{number}", Fault(until=BEYOND)) for number in range(2)]
    ends = [run.wait() for run in runs]
    sent = [first for first, _, _ in killer.server.requests()]
    kept = read_kept(store)
    found, wanted = bench._made(store, False), bench._made(killer.undisturbed, False)
    worse = next((one for one in ends if not _is_well(one, False)), ends[0])
    is_well = all(_is_well(one, False) for one in ends) or found == wanted
    return Outcome(
        "two writers", 0 if is_well else worse.code, "" if is_well else worse.message, 0, kept.num_twice, len(sent) - len(set(sent)),
        sum(one.processes_left for one in ends), found == wanted, False, "",
    )  # fmt: skip


@contextmanager
def small_disk(folder: Path, size_kb: int) -> Iterator[Path]:
    """A file system of this size (needs root)."""
    folder.mkdir(exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def can_mount() -> bool:
    """Whether this process may make file systems."""
    return os.geteuid() == 0


def try_small_disk(bench: Bench, until: str, spare_kb: int) -> Outcome:
    """A disk with so much left for a run that begins where the store is done up to `until`; then it is enlarged."""
    source = bench.store(until, "source")
    used_kb = sum(path.stat().st_size // 4096 * 4 + 4 for path in source.rglob("*"))
    with small_disk(bench.folder / "disk", used_kb + spare_kb) as disk:
        shutil.copytree(source, disk / "store")

        def enlarge() -> None:
            _mount("-o", "remount,size=400m", str(disk))

        return bench.try_fault(f"{spare_kb} KB left", disk / "store", mend=enlarge, is_whole=until != "")


def try_read_only(bench: Bench, until: str) -> Outcome:
    """A file system that is read-only, then isn't."""
    source = bench.store(until, "source")
    with small_disk(bench.folder / "disk", 400_000) as disk:
        shutil.copytree(source, disk / "store")
        _mount("-o", "remount,ro", str(disk))
        return bench.try_fault("read-only store", disk / "store", mend=lambda: _mount("-o", "remount,rw", str(disk)), is_whole=until != "")


def all_cases(bench: Bench, num_writes: int = 12) -> Iterator[tuple[str, Callable[[], Outcome]]]:
    """(what it is a case of, the case) for all; the disk is full at `num_writes` file operations of each part."""
    reference = bench.killer.reference
    yield "two writers at once", partial(try_two_writers, bench)
    yield "torn last line of a rows file", partial(try_torn, bench)
    yield "slow file system (20 ms an operation)", partial(try_slow, bench)
    for sign in ("", "-"):
        for at in _spread(20, reference.num_to_dataset, 3):
            yield "clock jumps by 3 days", partial(try_clock, bench, at, sign)
    for stage in ("stream", "dataset", "model", "result"):
        yield "stale lock of a dead host", partial(try_dead_host, bench, stage)
    for at in _spread(1, reference.num_to_dataset, num_writes):
        yield "disk full at a write of generation or curation", partial(try_disk_full, bench, at)
    for at in _spread(13, reference.num_operations - reference.num_to_dataset + 13, num_writes):
        yield "disk full at a write of training or publication", partial(try_disk_full, bench, at, STUDENT)
    if can_mount():
        for spare_kb in (16, 32, 40, 64):
            yield "small disk, generation", partial(try_small_disk, bench, "", spare_kb)
        for spare_kb in (2_000, 20_000, 40_000):
            yield "small disk, training", partial(try_small_disk, bench, STUDENT, spare_kb)
        for until in ("", DATASET, STUDENT, RESULT):
            yield "read-only store", partial(try_read_only, bench, until)
    for pattern, (_, hows) in SPOILT.items():
        for how in hows:
            yield f"{Path(pattern).parts[0]}: {Path(pattern).name} {how}", partial(try_spoilt, bench, pattern, how)
    for how in ("halved", "emptied"):
        yield "a training checkpoint is spoilt", partial(try_spoilt_checkpoint, bench, how)


def _spread(first: int, end: int, num: int) -> list[int]:
    """So many numbers from `first` to before `end`."""
    return [first + position * (end - first) // num for position in range(num)]
