"""What may befall a sweep on SLURM, case by case, on the cluster of `make slurm-up`: jobs, nodes, the controller, the accounting, limits.

The LLM is `tests.faults.server`, so that requests are counted and texts compared with an undisturbed sweep's. A case strikes while the
client waits; then the same command runs again, and must find nothing to do where the first one ended well.
"""

import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import psutil

from tests.faults.program import Ended, Kept, made, read_kept
from tests.faults.server import OK, Running
from tests.faults.slurmsweep import FEW_JOBS, LIMIT, NO_ENDS, NO_SACCT, Shim, Sweep, make_shims
from tests.stubs.slurm_cluster import Slurm
from tests.stubs.slurm_daemons import configured, lost_node, no_controller
from tests.stubs.waiting import eventually

LATENCY_S = 1.0
GONE_S = 90.0
"""For jobs to end. One may stay COMPLETING for minutes, without any process, where its controller was started again meanwhile."""
QUICK, LONG = "train.steps=2", "train.steps=100000"
GOLD = ("method=gold", "gold_per_label=8")


@dataclass(frozen=True)
class Outcome:
    """What came of a case."""

    case: int
    name: str
    code: int
    message: str
    """What the struck command said in the end; '' where it ended well."""
    expected: str
    """What it should say."""
    rows_lost: int
    """Rows that stood there when it had ended, and don't at the end."""
    rows_twice: int
    repeated: int
    """Requests that the LLM was sent more than once."""
    sent_twice: int
    """Of these, those that were answered each time."""
    jobs_left: int
    processes_left: int
    after: str
    """What the same command said then; '' where it ended well."""
    is_made_again: bool
    """Whether it submitted anything although the struck one had ended well."""
    is_same: bool
    """Whether the data set is that of an undisturbed sweep."""
    printed: str
    """All that was printed, where that holds a traceback."""

    @property
    def is_well(self) -> bool:
        """Whether nothing was lost, made twice or left, and the user was told."""
        is_clean = not (self.rows_lost or self.rows_twice or self.jobs_left or self.processes_left) and self.is_same
        is_told = self.expected in self.message if self.expected else not self.message
        return is_clean and is_told and self.repeated <= 2 * LIMIT and not (self.after or self.is_made_again or self.printed)


def preempted(sweep: Sweep) -> None:
    job = sweep.until_rows()
    taker = sweep.slurm.submit("sleep 600", "--partition=high", f"--nodelist={sweep.node(job)}", "--exclusive", folder=sweep.root)
    sweep.slurm.wait(taker, "RUNNING")
    sweep.slurm.run("scancel", taker)


@contextmanager
def _node_lost(sweep: Sweep, unit: str) -> Iterator[None]:
    job = sweep.until_rows() if unit == "llm-0" else sweep.until_running(unit)
    with lost_node(sweep.slurm, sweep.node(job), sweep.folder.state(unit).slurm_job or job):
        yield


@contextmanager
def _node_down(sweep: Sweep) -> Iterator[None]:
    node = sweep.node(sweep.until_rows())
    sweep.slurm.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
    try:
        yield
    finally:
        subprocess.run(
            ["scontrol", "update", f"nodename={node}", "state=resume"], capture_output=True, check=False
        )  # it may be back already


def controller_gone(sweep: Sweep) -> None:
    sweep.until_rows()
    with no_controller():
        sweep.says("SLURM doesn't answer (squeue)")


def cancelled(sweep: Sweep, unit: str) -> None:
    job = sweep.until_rows() if unit == "llm-0" else sweep.until_running(unit)
    sweep.slurm.run("scancel", job)


def student_killed(sweep: Sweep) -> None:
    sweep.until_running("student-0000")
    os.kill(sweep.folder.state("student-0000").pid, signal.SIGKILL)


def client_killed(sweep: Sweep) -> None:
    sweep.until_rows()
    sweep.runs[-1].strike(signal.SIGKILL)


@dataclass(frozen=True)
class Case:
    """A way of failing. `strike` is called once the command runs; what it yields, where it is a context, lasts until the command ends."""

    name: str
    strike: Callable[[Sweep], object] = lambda sweep: None
    arguments: tuple[str, ...] = (QUICK, "seed=0,1", "draw=0")
    message: str = ""
    around: Callable[[], object] = lambda: None
    """A context that the struck command runs in."""
    shims: tuple[Shim, ...] = ()
    """For the struck command."""
    latency_s: float = LATENCY_S
    has_texts: bool = True


def _lost(unit: str) -> Callable[[Sweep], object]:
    return partial(_node_lost, unit=unit)


GONE_ON = "the same command goes on"
CASES = [
    Case("undisturbed"),
    Case("preemption of the LLM job", preempted, (QUICK, "seed=0,1", "draw=0", "site.llm.partition=low")),
    Case("node lost in generation (slurmd and job killed)", _lost("llm-0")),
    Case("node set down in generation", _node_down),
    Case("node lost in training", _lost("student-0000"), (*GOLD, "train.epochs=12", "train.patience=12"), has_texts=False),
    Case("slurmctld stopped and started again in generation", controller_gone),
    Case("slurmctld gone as the command starts", around=no_controller, message="Unable to contact slurm controller"),
    Case("scancel of the LLM job", partial(cancelled, unit="llm-0"), message=GONE_ON),
    Case("scancel of a student", partial(cancelled, unit="student-0000"), (*GOLD, LONG), message=GONE_ON, has_texts=False),
    Case(
        "a student is killed, sacct and the controller tell nothing", student_killed, (*GOLD, LONG),
        message="SLURM keeps no record of it", shims=(NO_SACCT, NO_ENDS), has_texts=False,
    ),
    Case("sacct fails", shims=(NO_SACCT,)),
    Case("time limit of the LLM job", arguments=(QUICK, "seed=0,1", "draw=0", "site.llm.time_min=1", "site.llm.signal_s=40"), latency_s=5),
    Case("limit on submitted jobs (sbatch refuses the second call)", shims=(FEW_JOBS,), message="sbatch refused the jobs"),
    Case("no room in the queue (MaxJobCount=1)", around=lambda: configured("MaxJobCount=1"), message="sbatch refused the jobs"),
    Case(
        "arrays of 3 at most (MaxArraySize=3)", arguments=(QUICK, "seed=0,1,2,3,4", "draw=0"), around=lambda: configured("MaxArraySize=3")
    ),
    Case("the client is killed (SIGKILL)", client_killed),
]  # fmt: skip


@dataclass
class Bench:
    """Where cases are tried."""

    slurm: Slurm
    server: Running
    folder: Path

    @cached_property
    def undisturbed(self) -> dict[str, str]:
        """The data set that a sweep makes that nobody disturbs."""
        sweep = self._sweep("undisturbed", Case(""))
        ended = sweep.start().wait()
        assert ended.code == 0, ended.printed
        return _dataset(sweep.store)

    def _sweep(self, name: str, case: Case) -> Sweep:
        root = self.folder / name
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        self.server.plan(latency_s=case.latency_s)
        return Sweep(self.slurm, self.server, root, case.arguments)

    def try_case(self, number: int) -> Outcome:
        """Case `number` of CASES; its folder is left where anything is amiss."""
        case = CASES[number]
        wanted = self.undisturbed if case.has_texts else {}
        sweep = self._sweep(f"case-{number}", case)
        if case.shims:
            sweep.environment = {"PATH": f"{make_shims(sweep.root, case.shims)}:{os.environ['PATH']}"}
        with _context(case.around()):
            run = sweep.start()
            with _context(case.strike(sweep)):
                first = run.wait()
        kept = read_kept(sweep.store)
        sweep.environment = {}
        if case.arguments[-1] == LONG:
            sweep.arguments = (*case.arguments[:-1], QUICK)
        second = sweep.start().wait()
        return self._judge(number, sweep, first, second, kept, wanted)

    def _judge(self, number: int, sweep: Sweep, first: Ended, second: Ended, kept: Kept, wanted: dict[str, str]) -> Outcome:
        case, now = CASES[number], read_kept(sweep.store)
        requests = self.server.requests()
        asked, answered = Counter(seed for seed, _, _ in requests), Counter(seed for seed, _, end in requests if end == OK)
        found = _dataset(sweep.store)
        outcome = Outcome(
            number, case.name, first.code, "" if first.code in (0, -signal.SIGKILL) else _told(first), case.message,
            sum(now.rows.get(place) != row for place, row in kept.rows.items()), now.num_twice,
            asked.total() - len(asked), answered.total() - len(answered),
            len(self._jobs()), len(_processes(sweep.root)),
            "" if second.code == 0 else _told(second), first.code == 0 and "submitted" in second.printed, found == wanted,
            "\n".join(one.printed for one in (first, second) if one.message.startswith("Traceback")),
        )  # fmt: skip
        if outcome.is_well:
            shutil.rmtree(sweep.root)
        else:
            self.slurm.cancel_all()
        return outcome

    def _jobs(self) -> list[str]:
        """Ours that are still in the queue a little later."""
        jobs: list[str] = []

        def none_left() -> bool:
            lines = [line.split("|") for line in self.slurm.run("squeue", "-h", "-o", "%i|%w|%T").splitlines()]
            jobs[:] = [job for job, key, state in lines if key == self.slurm.key and state != "COMPLETING"]
            return not jobs

        eventually(none_left, GONE_S, every_s=0.5)
        return jobs


def _told(ended: Ended) -> str:
    """The causes that it gave, each once, ahead of its last line."""
    lines = [line.partition(": ")[2] for line in ended.printed.splitlines() if line.startswith("failed: ")]
    return " / ".join(dict.fromkeys(line.partition(": ")[2] for line in lines)) or ended.message


def _dataset(store: Path) -> dict[str, str]:
    return {name: value for name, value in made(store).items() if name.startswith("datasets/")}


def _processes(root: Path) -> list[int]:
    """Those whose command names the folder, a little later."""
    found: list[int] = []

    def none_left() -> bool:
        found[:] = [one.pid for one in psutil.process_iter(["cmdline"]) if str(root) in " ".join(one.info["cmdline"] or [])]
        return not found

    eventually(none_left, GONE_S, every_s=0.5)
    return found


@contextmanager
def _context(value: object) -> Iterator[None]:
    """What a case gives, as far as it is a context."""
    if hasattr(value, "__enter__"):
        with value:
            yield
    else:
        yield
