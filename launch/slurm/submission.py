"""Submitting a sweep's units through submitit: LLM units and students as arrays, each student linked to the jobs that write its texts.

All happens under the lock of `launch.slurm.inflight`; what another sweep's job is making already is attached to, not submitted. An array
first waits for all LLM jobs that any of its tasks needs and is let go task by task then: a client that dies in between leaves jobs
that start later than they could, never jobs that wait for ever. Each call of sbatch is written down before anything else happens.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from japagen.config.schema import Config, Site, Step
from japagen.errors import ConfigError
from japagen.experiments.experiment import Experiment
from japagen.store.store import Store
from japagen.sweeps.folder import JUDGE, LLM, WRITER, SweepFolder, Unit
from launch.console import say
from launch.slurm.inflight import Inflight, inflight
from launch.worker import run_job

Job = dict[str, str]
"""{job: SLURM's number, 12 or 12_3, log, sweep and unit: where its state is kept}."""
Pack = tuple[Unit, ...]
"""Units that one job does."""
FEWER = "pack=k does k students in one job, site.max_array=k submits k jobs a call; "
"""What helps where too many are asked for at a time."""


def submit(folder: SweepFolder, units: Sequence[Unit], experiments: Sequence[Experiment], store: Store) -> dict[str, Job]:
    """The job of every unit: new ones, and those of other sweeps that make the same. ConfigError when sbatch refuses them."""
    with inflight(store) as known:
        submission = _Submission(folder, experiments, known)
        submission.attach(units)
        num_attached = len(submission.jobs)
        submission.submit([unit for unit in units if unit.id not in submission.jobs])
    jobs = submission.jobs
    new = len({job["job"] for job in jobs.values() if job["sweep"] == folder.name})
    say(f"{len(jobs) - num_attached} unit(s) submitted as {new} job(s), {num_attached} in the queue already")
    return jobs


class _Submission:
    def __init__(self, folder: SweepFolder, experiments: Sequence[Experiment], known: Inflight) -> None:
        self._folder, self._experiments, self._known = folder, experiments, known
        self._config: Config = experiments[0].config
        self._longest = self._config.site.max_array or _max_array()
        self.jobs: dict[str, Job] = {}

    def attach(self, units: Sequence[Unit]) -> None:
        """Finds jobs in the queue that make all that a unit would."""
        self.jobs = {unit.id: job for unit in units if (job := self._known.maker(self._keys(unit))) is not None}
        if self.jobs:
            self._folder.write_submitted(self.jobs)

    def submit(self, units: Sequence[Unit]) -> None:
        """Calls sbatch as seldom as possible: LLM units that take the same number of GPUs are one array, students another."""
        site = self._config.site
        for role in (WRITER, JUDGE):  # judges wait for jobs that write, so these come first
            llm_units = [unit for unit in units if unit.kind == LLM and unit.role == role]
            for gpus in dict.fromkeys(unit.gpus for unit in llm_units):
                self._submit([(unit,) for unit in llm_units if unit.gpus == gpus], site.llm, gpus)
        self._submit(_packs([unit for unit in units if unit.kind != LLM], self._config.pack), site.student, site.student.gpus)

    def _submit(self, packs: Sequence[Pack], step: Step, gpus: int) -> None:
        for start in range(0, len(packs), self._longest):
            self._submit_array(packs[start : start + self._longest], step, gpus)

    def _submit_array(self, packs: Sequence[Pack], step: Step, gpus: int) -> None:
        """One call of sbatch: a job, or an array of them."""
        needed = [tuple(dict.fromkeys(self.jobs[need]["job"] for unit in pack for need in unit.needs)) for pack in packs]
        all_needed = tuple(dict.fromkeys(job for jobs in needed for job in jobs))
        found = self._sbatch(packs, step, gpus, all_needed)
        new = {
            unit.id: {"job": job.job_id, "log": str(job.paths.stdout), "sweep": self._folder.name, "unit": unit.id}
            for pack, job in zip(packs, found, strict=True)
            for unit in pack
        }
        self._known.note({key: new[unit.id] for pack in packs for unit in pack for key in self._keys(unit)})
        self._folder.write_submitted(new)
        self.jobs |= new
        _link(found[0].job_id.partition("_")[0], needed, all_needed)

    def _sbatch(self, packs: Sequence[Pack], step: Step, gpus: int, needed: Sequence[str]) -> list[Any]:
        import submitit

        site, root = self._config.site, self._folder.root
        python = step.python or shlex.quote(sys.executable)
        # Without srun, SLURM signals the batch script's process alone, so that must be Python itself
        executor = submitit.SlurmExecutor(root / "submitit", python=python if step.use_srun else f"exec env {python}")
        parameters = _parameters(site, step, gpus, f"japagen-{packs[0][0].kind}-{self._folder.name}")
        if needed:
            parameters["dependency"] = _afterany(needed)
        executor.update_parameters(**parameters)
        try:
            with _outside_a_job():
                return executor.map_array(run_job, [str(root)] * len(packs), [[unit.id for unit in pack] for pack in packs])
        except (subprocess.CalledProcessError, submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as error:
            reason = (str(getattr(error, "stderr", "") or error).strip().splitlines() or [str(error)])[-1]
            before = sorted({job["job"].partition("_")[0] for job in self.jobs.values() if job["sweep"] == self._folder.name})
            left = f"; those submitted before go on ({', '.join(before)}), and the same command submits the rest" if before else ""
            fewer = FEWER if re.search("limit|array|unable to accept", reason) else ""
            raise ConfigError(f"sbatch refused the jobs: {reason}; {fewer}see site={site.name!r} (docs/cluster.md){left}") from error

    def _keys(self, unit: Unit) -> list[str]:
        """What the unit makes."""
        experiments = [self._experiments[number] for number in unit.experiments]
        if unit.kind != LLM:
            return [experiment.keys["result"] for experiment in experiments]
        shard = [] if unit.shard[1] == 1 else [str(unit.shard[0])]
        return ["/".join([experiment.rows_key, *([] if unit.role == WRITER else [unit.role]), *shard]) for experiment in experiments]


def _packs(students: Sequence[Unit], size: int) -> list[Pack]:
    """Students for one job each: `size` of those that wait for the same LLM jobs."""
    groups: dict[tuple[str, ...], list[Unit]] = {}
    for unit in students:
        groups.setdefault(unit.needs, []).append(unit)
    return [tuple(group[start : start + size]) for group in groups.values() for start in range(0, len(group), size)]


def _link(array: str, needed: Sequence[tuple[str, ...]], all_needed: tuple[str, ...]) -> None:
    """Has each task of an array wait for its own LLM jobs only; one call a set of them. The array's throttle stays."""
    for needs in dict.fromkeys(needed):
        if needs == all_needed:
            continue
        tasks = ",".join(str(task) for task, own in enumerate(needed) if own == needs)
        command = ["scontrol", "update", f"jobid={array}_[{tasks}]", f"dependency={_afterany(needs)}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            say(f"the students of array {array} start once all LLM jobs have ended: scontrol refused to let them go: {done.stderr.strip()}")
            return


def _afterany(jobs: Sequence[str]) -> str:
    return "afterany:" + ":".join(jobs) if jobs else ""


@contextmanager
def _outside_a_job() -> Iterator[None]:
    """Hides what SLURM tells the processes of a job: sbatch started in one (an interactive shell on a node) would hand it down."""
    hidden: dict[str, str] = {}
    if "SLURM_JOB_ID" in os.environ:
        hidden = {name: value for name, value in os.environ.items() if name.startswith("SLURM_") and name != "SLURM_CONF"}
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)


def _parameters(site: Site, step: Step, gpus: int, name: str) -> dict[str, Any]:
    """submitit's names for what the site asks of SLURM."""
    extra = {**step.extra, "requeue": True} if step.requeue else {**step.extra, "no-requeue": True}
    if not step.use_srun:
        extra["signal"] = f"B:USR2@{step.signal_s}"
    if gpus and step.gpu_option:
        option, _, value = step.gpu_option.partition("=")
        extra[option] = value.format(gpus=gpus)
    if step.mem_gb is not None:
        extra["mem"] = f"{round(step.mem_gb * 1024)}M"
    environment = dict(site.environment)
    if site.offline:
        environment |= {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "offline"}
    if site.scratch is not None:
        environment["TMPDIR"] = site.scratch
    exports = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    wanted = {
        "job_name": name, "partition": step.partition, "account": step.account, "qos": step.qos, "constraint": step.constraint,
        "exclude": step.exclude, "time": step.time_min, "cpus_per_task": step.cpus, "signal_delay_s": step.signal_s,
        "setup": [*exports, *step.setup], "use_srun": step.use_srun, "array_parallelism": step.throttle or 100_000,
        "stderr_to_stdout": True, "additional_parameters": extra, "wckey": None,
    }  # fmt: skip
    return {name: value for name, value in wanted.items() if value is not None or name == "wckey"}


def _max_array() -> int:
    """The longest array that the cluster takes."""
    listed = subprocess.run(["scontrol", "show", "config"], capture_output=True, text=True, timeout=60, check=False).stdout
    found = re.search(r"MaxArraySize\s*=\s*(\d+)", listed)
    return int(found[1]) if found else 1000
