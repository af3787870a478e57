"""Waiting for a sweep's jobs: one call of squeue a poll, and the state files of those units only whose jobs run or are gone.

The queue is asked first and the files are read then, so that a unit which ended in between isn't taken for one that was killed. A
job that left without a word of its unit's is looked up: the store may have what it makes; else SLURM says how it ended.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from japagen.config.schema import Site
from japagen.experiments.experiment import Experiment
from japagen.experiments.stages import is_complete
from japagen.squeue import END_CAUSES, NOT_BEGUN, ORDINARY_REASONS, RESUMES, end_states, queue_states
from japagen.store.store import Store
from japagen.sweeps.folder import DONE, FAILED, LLM, RUNNING, STUDENT, UNFINISHED, WAITING, SweepFolder, Unit
from launch.console import say
from launch.planning import stages_of

LOOKS = 5
"""How often SLURM is asked about a job that left the queue without a word; its accounting lags by some seconds."""
LOOK_AGAIN_S = 1.0


class Watch:
    """One client's wait. `jobs`: unit -> {job, log, …}; `after(unit)` is called when a unit has ended."""

    def __init__(
        self, folder: SweepFolder, units: Sequence[Unit], jobs: Mapping[str, Mapping[str, str]], experiments: Sequence[Experiment],
        store: Store, after: Callable[[Unit], None],
    ) -> None:  # fmt: skip
        self._folder, self._jobs, self._experiments, self._store, self._after = folder, jobs, experiments, store, after
        self._units = list(units)
        self._open = {unit.id: unit for unit in units}
        self._states = dict.fromkeys(self._open, WAITING)
        self._reasons: dict[str, str] = {}
        self._looks = Counter[str]()
        self._shown = ""
        self._is_silent = False

    def run(self, site: Site) -> None:
        """Returns when no unit can change any more."""
        while self._open:
            gone = self.look()
            if gone:
                self._ask_for_ends(gone)
            self._show()
            if self._open:
                time.sleep(min(LOOK_AGAIN_S, site.poll_s) if gone & self._open.keys() else site.poll_s)

    def look(self) -> set[str]:
        """Asks the queue; the units whose jobs left it without a last word."""
        queued = queue_states({self._jobs[id_]["job"] for id_ in self._open})
        if queued is None:
            if not self._is_silent:
                say("SLURM doesn't answer (squeue); the jobs don't need this command, which asks again")
            self._is_silent = True
            return set()
        self._is_silent = False
        gone = set()
        for id_ in list(self._open):
            job = self._jobs[id_]["job"]
            state, self._reasons[id_] = queued.get(job, ("", ""))
            if state in NOT_BEGUN:
                self._states[id_] = WAITING
                continue
            kept = self._folder.state(id_)
            latest = kept.state if kept.slurm_job == job else WAITING  # of an earlier job
            if latest in (DONE, FAILED):
                self._close(id_, latest)
            elif state:
                self._states[id_], self._looks[id_] = RUNNING, 0
            else:
                gone.add(id_)
        return gone

    def _close(self, id_: str, state: str) -> None:
        self._states[id_] = state
        self._after(self._open.pop(id_))

    def _ask_for_ends(self, gone: set[str]) -> None:
        """Units that were killed, cancelled, out of memory; interrupted and not put back; or whose last word is slow to be seen here."""
        ends = end_states({self._jobs[id_]["job"] for id_ in gone})
        for id_ in sorted(gone):
            self._looks[id_] += 1
            kept, job = self._folder.state(id_), self._jobs[id_]["job"]
            end = ends.get(job)
            is_reported = end is not None and end[0] != "COMPLETED"
            if self._looks[id_] < (2 if is_reported else LOOKS):
                continue
            if self._is_made(self._open[id_]):
                self._folder.end(id_, DONE, "")
                self._close(id_, DONE)
                continue
            has_begun = kept.slurm_job == job
            state, cause = end[0] if end is not None else "", _cause(job, end, self._jobs[id_]["log"], has_begun)
            has_stopped = has_begun and kept.state == UNFINISHED
            if has_stopped:
                cause = kept.cause if state in ("", "FAILED", "COMPLETED") else f"{kept.cause}; {cause}"
            ended = UNFINISHED if has_stopped or state in RESUMES or not state else FAILED
            self._folder.end(id_, ended, f"{cause}; the same command goes on" if ended == UNFINISHED else cause)
            self._close(id_, ended)

    def _is_made(self, unit: Unit) -> bool:
        """Whether the store has what the unit is for, whoever made it."""
        experiments = [self._experiments[number] for number in unit.experiments]
        if unit.kind == LLM:
            made = [(experiment, stage) for experiment in experiments for stage in stages_of(experiment, unit.role)]
            return all(is_complete(experiment, stage, self._store) for experiment, stage in made)
        return all(self._store.find("result", experiment.keys["result"]) is not None for experiment in experiments)

    def _show(self) -> None:
        """'generation: 1 running; students: 3 done, 9 waiting (JobHeldUser 2)', where it has changed."""
        parts = []
        for title, kind in (("generation", LLM), ("students", STUDENT)):
            ids = [unit.id for unit in self._units if unit.kind == kind]
            counts = Counter(self._states[id_] for id_ in ids)
            if counts:
                reasons = Counter(self._reasons.get(id_, "") for id_ in ids if id_ in self._open and self._states[id_] == WAITING)
                notable = [f"{reason} {count}" for reason, count in sorted(reasons.items()) if reason not in ORDINARY_REASONS]
                why = f" ({', '.join(notable)})" if notable else ""
                listed = [f"{count} {state}{why if state == WAITING else ''}" for state, count in sorted(counts.items())]
                parts.append(f"{title}: " + ", ".join(listed))
        line = "; ".join(parts)
        if line != self._shown:
            say(line)
            self._shown = line


def _cause(job: str, end: tuple[str, str] | None, log: str, has_begun: bool) -> str:
    """How SLURM ended the job; a step that took too much memory may leave its job merely FAILED, and only the log says more."""
    if end is None and has_begun:
        return f"job {job} left SLURM's queue without a word, and SLURM keeps no record of it; log: {log}"
    if end is None:
        return f"job {job} left SLURM's queue before it began, without a record: cancelled while it waited"
    lines = _last_lines(Path(log))
    state = "OUT_OF_MEMORY" if any(sign in line for sign in ("oom-kill", "Out Of Memory") for line in lines) else end[0]
    errors = [line for line in lines if "error: " in line] or lines or ["it wrote nothing"]
    words = END_CAUSES.get(state) or errors[-1]
    return f"SLURM ended job {job}: {state} ({words}); log: {log}"


def _last_lines(log: Path, num: int = 5) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 2000))
            return [line.strip() for line in file.read().decode(errors="replace").splitlines() if line.strip()][-num:]
    except OSError:
        return []
