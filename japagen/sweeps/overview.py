"""What has become of a sweep's units, read from its folder: `japagen status` and `japagen logs` print it.

In: a SweepFolder, the results in its store, and what SLURM's queue says (`japagen.squeue`; None where it can't be asked). Ask the queue
first and read the folder then: a unit that still says `running` when its job has left the queue was killed, and didn't end in between.
"""

import socket
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import psutil

from japagen.errors import StoreError, nearest
from japagen.output import shorten
from japagen.squeue import NOT_BEGUN
from japagen.store.store import Store
from japagen.sweeps.folder import (
    DONE,
    FAILED,
    LLM,
    RUNNING,
    STUDENT,
    UNFINISHED,
    WAITING,
    Planned,
    State,
    SweepFolder,
    Unit,
    explain_unknown_plan,
    sweep_folders,
)

LOST = "lost"
"""Says it runs, or was submitted, and no process or job of it is left."""
STATES = (FAILED, LOST, UNFINISHED, RUNNING, WAITING, DONE)
"""What calls for a look comes first."""
STAGES = {LLM: "generation", STUDENT: "students"}
_CLOCK_S = 5.0
"""A process that began so much after its unit is another one that got the same number."""

Queue = Mapping[str, tuple[str, str]] | None
"""Job -> (state, reason); None: SLURM can't be asked, so nothing is known."""


@dataclass(frozen=True)
class Texts:
    """How far an LLM unit is, over all its streams so far."""

    accepted: int
    wanted: int
    rows_per_s: float
    """Speed of the stream in work."""
    left_s: float | None
    """Seconds left for the streams begun; None where unknown."""


@dataclass(frozen=True)
class UnitRow:
    """One unit as it is now."""

    unit: Unit
    state: str
    """One of STATES."""
    kept: State
    """What the unit itself wrote last."""
    job: str | None
    """SLURM's, of the latest submission."""
    queue: tuple[str, str] | None
    """SLURM's state and reason for a unit that waits for its job."""
    cause: str
    log: Path

    @property
    def texts(self) -> Texts | None:
        return sum_progress(self.kept.progress) if self.kept.progress else None

    def took_s(self, now: float) -> float | None:
        """Seconds of the last start; up to `now` while it runs, None where its end is unknown."""
        if self.kept.started is None:
            return None
        if self.state == RUNNING:
            return now - self.kept.started
        return None if self.kept.ended is None else self.kept.ended - self.kept.started


@dataclass(frozen=True)
class Overview:
    """A sweep as it is now."""

    folder: SweepFolder
    created: str
    num_experiments: int
    rows: tuple[UnitRow, ...]
    """In the plan's order."""

    def counts(self, kind: str) -> Counter[str]:
        """State -> units of that kind."""
        return Counter(row.state for row in self.rows if row.unit.kind == kind)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen by itself.

        Units that wait for a process on this machine have nobody to start them where nothing runs any more and others were stopped or lost.
        """
        states = {row.state for row in self.rows}
        if RUNNING in states or any(row.state == WAITING and row.queue is not None for row in self.rows):
            return False
        interrupted = not states.isdisjoint((LOST, UNFINISHED)) and not any(row.state == WAITING and row.job for row in self.rows)
        return WAITING not in states or interrupted

    @property
    def exit_code(self) -> int:
        """0: all done; 2: still going on; 1: over, and something failed, was stopped or lost."""
        if not self.is_over:
            return 2
        return 0 if all(row.state == DONE for row in self.rows) else 1


def job_ids(folder: SweepFolder) -> set[str]:
    """The SLURM jobs that the sweep's units were submitted as, or say they run in; of units that are done none."""
    states = folder.states()
    done = {unit for unit, state in states.items() if state.state == DONE}
    jobs = {entry["job"] for unit, entry in folder.submitted().items() if unit not in done}
    return jobs | {state.slurm_job for state in states.values() if state.state == RUNNING and state.slurm_job}


def read_overview(folder: SweepFolder, queue: Queue) -> Overview:
    """Everything about the sweep at once; StoreError where its plan can't be read."""
    with explain_unknown_plan(folder):
        sweep, experiments, units = folder.sweep(), folder.experiments(), folder.units()
    created = datetime.fromisoformat(sweep.created).timestamp()
    submitted, states = folder.submitted(), folder.states()
    store = Store(folder.root.parent.parent)
    path = folder.root / "submitted.json"
    is_fresh = path.is_file() and path.stat().st_mtime >= created
    rows = []
    for unit in units:
        kept, entry = states.get(unit.id, State()), submitted.get(unit.id, {})
        job = entry.get("job")
        state, cause = _state_now(kept, job, queue, created, is_fresh)
        if state != RUNNING and all(_has_result(store, experiments[number]) for number in unit.experiments):
            state, cause = DONE, ""  # whoever made it: another sweep, or a start that was killed when it was through
        queued = queue.get(job) if queue and job and state == WAITING else None
        rows.append(UnitRow(unit, state, kept, job or kept.slurm_job, queued, cause, _log(folder, unit, kept, entry)))
    return Overview(folder, sweep.created, sweep.num_experiments, tuple(rows))


def with_ends(overview: Overview, ends: Queue) -> Overview:
    """The overview where lost units say how SLURM's accounting has their jobs ended (`japagen.squeue.accounting_states`)."""

    def with_end(row: UnitRow) -> UnitRow:
        if row.state != LOST or not ends or row.job is None or row.job not in ends:
            return row
        state, code = ends[row.job]
        return replace(row, cause=f"{row.cause}; SLURM's accounting: {state}, exit code {code}")

    return replace(overview, rows=tuple(with_end(row) for row in overview.rows))


def _state_now(kept: State, job: str | None, queue: Queue, created: float, is_fresh: bool) -> tuple[str, str]:
    """(state, cause) from what the unit wrote, its submitted job, the queue, and when the present plan was made.

    What a unit wrote before the plan was made is of an earlier start of the sweep: the plan holds only what was still to do then.
    `is_fresh`: the submission is of the present start.
    """
    state, cause = kept.state, kept.cause
    gone = _why_gone(kept, queue) if state == RUNNING else ""
    if (gone or state != RUNNING) and (kept.updated or 0) < created:
        state = WAITING
    elif gone:
        state, cause = LOST, gone
    queued = queue.get(job) if queue and job else None
    if queued is not None and _will_begin(state, queued[0], is_same_job=job == kept.slurm_job):
        return WAITING, kept.cause
    if state == WAITING and is_fresh and job and job != kept.slurm_job and queue is not None and queued is None:
        return LOST, "SLURM's job left the queue before the unit began: cancelled, or its node failed"
    return state, cause


def _has_result(store: Store, experiment: Planned) -> bool:
    return "result" in experiment.keys and store.find("result", experiment.keys["result"]) is not None


def _will_begin(state: str, in_queue: str, is_same_job: bool) -> bool:
    """Whether the unit's job is queued to begin, again or for the first time; the job of a stopped unit may requeue itself."""
    if is_same_job:
        return in_queue in NOT_BEGUN or state == UNFINISHED
    return state != RUNNING


def _why_gone(kept: State, queue: Queue) -> str:
    """Why a unit that says it runs doesn't; '' where it does, or nothing tells."""
    if kept.host == socket.gethostname():
        return "" if _is_alive(kept) else "its process is gone, and left no cause: killed, or out of memory"
    if kept.slurm_job and queue is not None and kept.slurm_job not in queue:
        return "SLURM's job left the queue, and its process left no cause: killed, or its node failed"
    return ""


def _is_alive(kept: State) -> bool:
    try:
        process = psutil.Process(kept.pid)
        is_same = kept.started is None or process.create_time() <= kept.started + _CLOCK_S
        return is_same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _log(folder: SweepFolder, unit: Unit, kept: State, entry: Mapping[str, str]) -> Path:
    """The log of the unit's latest start that has one; where it will be, for one that hasn't begun."""
    begun = [kept.log] if kept.log else []
    submitted = [entry["log"]] if entry.get("log") else []
    is_newer = bool(submitted) and entry.get("job") != kept.slurm_job
    candidates = [Path(log) for log in (submitted + begun if is_newer else begun + submitted)] + [folder.log(unit.id)]
    return next((path for path in candidates if path.is_file()), candidates[0])


def sum_progress(progress: Mapping[str, Mapping[str, float]]) -> Texts:
    """Over the streams of one unit, which are filled one after the other."""
    streams = list(progress.values())
    accepted, wanted = (int(sum(stream[name] for stream in streams)) for name in ("accepted", "wanted"))
    replies = accepted + sum(stream["rejected"] for stream in streams)
    last = streams[-1]
    speed = last["new_rows"] / last["seconds"] if last["seconds"] > 0 else 0.0
    left_s = None
    if speed > 0 and accepted > 0:
        left_s = max(0, wanted - accepted) * replies / accepted / speed
    return Texts(accepted, wanted, speed, left_s)


def find_sweep(store: Store, name: str | None) -> SweepFolder:
    """The sweep called so, or the only one whose name begins so; without a name the latest. StoreError where there is none."""
    found = sweep_folders(store)
    if not found:
        raise StoreError(f"there is no sweep in {store.root}; another store is named by --store DIR or JAPAGEN_STORE")
    if name is None:
        return found[-1]
    names = [folder.name for folder in found]
    matching = [folder for folder in found if folder.name == name] or [folder for folder in found if folder.name.startswith(name)]
    if not matching:
        raise StoreError(f"no sweep of {store.root} is called {name!r}{nearest(name, names)}; the latest: {shorten(names[::-1])}")
    if len(matching) > 1:
        raise StoreError(
            f"{len(matching)} sweeps are called {name}…: {shorten([folder.name for folder in matching[::-1]])}; give more of the name"
        )
    return matching[0]


def find_units(overview: Overview, name: str) -> list[UnitRow]:
    """The units that `name` may mean: an id, a SLURM job, or the beginning of an id or of an experiment's name; the exact ones, if any."""
    planned = overview.folder.experiments()

    def names(row: UnitRow) -> list[str]:
        experiments = [planned[number].name for number in row.unit.experiments] if row.unit.kind == STUDENT else []
        return list(filter(None, [row.unit.id, row.unit.name, *experiments, row.job, row.kept.slurm_job]))

    exact = [row for row in overview.rows if name in names(row)]
    return exact or [row for row in overview.rows if any(candidate.startswith(name) for candidate in names(row))]


def why_missing(folder: SweepFolder, unit: Unit, rows_key: str) -> str:
    """What has become of the units that should have written a student's texts."""
    causes = []
    for need in unit.needs:
        state = folder.state(need)
        outcome = "was ended from outside" if state.state == RUNNING else state.state
        cause = state.faults.get(rows_key) or state.cause
        causes.append(f"{need} {outcome}{': ' + cause if cause else ''}")
    return "; ".join(causes) or "no unit of this sweep writes them; start the sweep again"
