"""A sweep on SLURM: what is missing is submitted (`launch.slurm.submission`) and waited for (`launch.slurm.watching`).

Students depend on their LLM jobs by `afterany` and look into the store themselves, so one failed stream stops only what needs it. The
client may die at any time: nothing depends on it, and the same command attaches to what is in the queue.
"""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence

from japagen.errors import ConfigError
from japagen.experiments.experiment import Experiment
from japagen.experiments.needed import check_present
from japagen.squeue import queue_states
from japagen.store.store import Store
from japagen.sweeps.folder import SweepFolder, Unit
from japagen.tracking import sync_command
from launch.console import say
from launch.slurm.submission import submit
from launch.slurm.watching import Watch


def check_jobs(experiments: Sequence[Experiment]) -> None:
    """Raises ConfigError where there is no SLURM, or jobs would miss what a login node has: models, data, the internet."""
    if shutil.which("sbatch") is None:
        raise ConfigError("hydra/launcher=slurm needs SLURM, and there is no sbatch here; start it on a login node, or leave it out")
    config = experiments[0].config
    if config.site.offline:
        if config.logger.wandb == "online":
            raise ConfigError(
                "logger.wandb=online, but jobs run without internet (site.offline=true); leave it out: runs are synced afterwards"
            )
        check_present([experiment.config for experiment in experiments], shlex.join(sys.argv[1:]))


def run_on_slurm(
    folder: SweepFolder, units: Sequence[Unit], experiments: Sequence[Experiment], store: Store, after: Callable[[Unit], None]
) -> bool:
    """Submits what is missing and, unless wait=false, waits, with `after(unit)` when one has ended; False when nothing was waited for."""
    config = experiments[0].config
    if not units:
        return True
    try:
        jobs = submit(folder, units, experiments, store)
        if not config.wait:
            say(f"not waiting (wait=false): japagen status {folder.name} tells how far it is; the same command shows the table in the end")
            return False
        Watch(folder, units, jobs, experiments, store, after).run(config.site)
    except KeyboardInterrupt:
        _leave_or_cancel(folder)
        raise
    if line := sync_command(store.wandb):
        say(f"to bring the W&B runs online: {line}")
    return True


def _leave_or_cancel(folder: SweepFolder) -> None:
    """Ctrl-C: asked once in a terminal; anywhere else the jobs are left."""
    jobs = {entry["job"]: entry["sweep"] for entry in folder.submitted().values()}
    queued = queue_states(jobs)
    left = sorted({job.partition("_")[0] for job, sweep in jobs.items() if sweep == folder.name and (queued is None or job in queued)})
    others = sorted({job.partition("_")[0] for job, sweep in jobs.items() if sweep != folder.name and (queued is None or job in queued)})
    if left and _says_yes(f"\n{len(left)} SLURM job(s) or arrays of this start go on: {' '.join(left)}. Cancel them? [y/N] "):
        subprocess.run(["scancel", *left], check=False, timeout=60)
        say("cancelled; what was made is in the store")
    elif left:
        say(f"the jobs go on: japagen status {folder.name}; the same command waits for them again; scancel {' '.join(left)} ends them")
    if others:
        say(f"jobs of other starts go on: {' '.join(others)}")


def _says_yes(question: str) -> bool:
    if not sys.stdin.isatty():
        return False
    try:
        return input(question).strip().lower() in ("y", "yes")
    except (KeyboardInterrupt, EOFError):
        return False
