"""A sweep on the cluster of `make slurm-up`, as a process that a case can wait for and strike; and commands of SLURM's that fail."""

import os
import shlex
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from japagen.store.store import Store
from japagen.sweeps.folder import RUNNING, SweepFolder, sweep_folders
from tests.faults.program import Run, read_kept, start_fresh
from tests.faults.server import MODEL, Running
from tests.stubs.slurm_cluster import Slurm
from tests.stubs.waiting import eventually

LIMIT = 4
"""Open requests of an LLM job."""
NUM_PER_LABEL = 24
WAIT_S = 240.0


@dataclass
class Sweep:
    """One command, the cluster it runs on, and its store."""

    slurm: Slurm
    server: Running
    root: Path
    arguments: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def folder(self) -> SweepFolder:
        return sweep_folders(Store(self.store))[-1]

    def start(self) -> Run:
        """The command, as a user types it."""
        own = (
            f"store={self.store}",
            f"hydra.sweep.dir={self.root}/hydra",
            "logger=none",
            "hydra/launcher=slurm",
            "site=lab",
            "site.poll_s=1",
        )
        llm = (f"llm.base_url={self.server.base_url}", f"llm.id={MODEL}", f"synthesis.concurrency={LIMIT}", "synthesis.texts_per_request=2")
        arguments = ("-m", "task=jcola", f"num_per_label={NUM_PER_LABEL}", *own, *llm, *self.arguments)
        self.runs.append(start_fresh(arguments, self.root / f"log-{len(self.runs)}", self.environment))
        return self.runs[-1]

    def until(self, condition: Callable[[], bool]) -> None:
        """Waits for it while the latest command runs."""
        run = self.runs[-1]
        assert eventually(lambda: condition() or run.is_over, WAIT_S, every_s=0.1), run.printed
        assert condition(), run.printed

    def says(self, text: str) -> None:
        self.until(lambda: text in self.runs[-1].printed)

    def until_rows(self) -> str:
        """Waits until the LLM job is in mid-run; its number."""
        self.until(lambda: len(read_kept(self.store).rows) > NUM_PER_LABEL // 2)
        return self.job("llm-0")

    def until_running(self, unit: str) -> str:
        """Waits until the unit is at work; its job."""
        self.until(lambda: bool(sweep_folders(Store(self.store))) and self.folder.state(unit).state == RUNNING)
        return self.job(unit)

    def job(self, unit: str) -> str:
        return self.folder.submitted()[unit]["job"]

    def node(self, job: str) -> str:
        return self.slurm.run("squeue", "-h", "-j", job, "-o", "%N")


@dataclass(frozen=True)
class Shim:
    """A command of SLURM's that fails."""

    name: str
    words: str
    """What it says then."""
    when: str = "true"
    """Shell; $0 is a path of its own."""


NO_SACCT = Shim("sacct", "Slurm accounting storage is disabled")
NO_ENDS = Shim("squeue", "slurm_load_jobs error: Invalid user id", 'case " $* " in *" --states=all "*) ;; *) false ;; esac')
FEW_JOBS = Shim(
    "sbatch",
    "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
    '[ -e "$0.once" ] || ! touch "$0.once"',
)
"""After the first one; a limit of an account isn't put on root, who tries this."""


def make_shims(root: Path, shims: tuple[Shim, ...]) -> Path:
    """A folder of these commands."""
    folder = root / "bin"
    folder.mkdir()
    for one in shims:
        path, real = folder / one.name, shutil.which(one.name)
        lines = ["#!/bin/sh", f"if {one.when}; then", f"echo {shlex.quote(one.words)} >&2", "exit 1", "fi", f'exec {real} "$@"']
        path.write_text("\n".join(lines), encoding="utf-8")
        path.chmod(0o755)
    return folder


@contextmanager
def labelled() -> Iterator[Slurm]:
    """The cluster, with a label on all jobs that are submitted inside; they are cancelled at the end."""
    slurm = Slurm()
    os.environ["SBATCH_WCKEY"] = slurm.key
    try:
        yield slurm
    finally:
        slurm.cancel_all()
        del os.environ["SBATCH_WCKEY"]
