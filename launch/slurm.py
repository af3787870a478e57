"""A sweep on SLURM through submitit: one job an LLM unit, students as arrays, each waiting for the jobs that write its texts.

Jobs are submitted under the lock of `launch.inflight`; what another sweep's job is making already is waited for instead. Students
depend on their LLM jobs by `afterany` and look into the store themselves, so one failed stream stops only what needs it. The client
may die at any time: nothing depends on it, and the same command attaches to what is in the queue.
"""

import re
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from japagen.config import Site, Step
from japagen.errors import ConfigError
from japagen.methods import Experiment
from japagen.store import Store
from japagen.tracking import sync_command
from launch.folder import DONE, FAILED, LLM, RUNNING, UNFINISHED, SweepFolder, Unit
from launch.inflight import Inflight, inflight
from launch.offline import check_present
from launch.squeue import accounting_states, queue_states
from launch.work import say
from launch.worker import run_job

LOOKS_AT_ACCOUNTING = 5
"""How often sacct is asked about a job that left the queue without a word; it lags by some seconds."""
Jobs = dict[str, dict[str, str]]
"""Unit -> {job, log}."""


def run_on_slurm(
    folder: SweepFolder, units: Sequence[Unit], experiments: Sequence[Experiment], store: Store, after: Callable[[Unit], None]
) -> bool:
    """Submits what is missing and, unless wait=false, waits, with `after(unit)` when one is done; False when nothing was waited for."""
    config = experiments[0].config
    if config.site.offline:
        check_present([experiment.config for experiment in experiments], shlex.join(sys.argv[1:]))
    if not units:
        return True
    jobs = submit(folder, units, experiments, store)
    if not config.wait:
        say(f"not waiting (wait=false): japagen status {folder.name} tells how far it is; the same command shows the table in the end")
        return False
    try:
        _wait(folder, units, jobs, config.site, after)
    except KeyboardInterrupt:
        _leave_or_cancel(folder, jobs)
        raise
    if line := sync_command(store.root.parent / "wandb"):
        say(f"to bring the W&B runs online: {line}")
    return True


def submit(folder: SweepFolder, units: Sequence[Unit], experiments: Sequence[Experiment], store: Store) -> Jobs:
    """The job of every unit: new ones, and those of other sweeps that make the same."""
    config = experiments[0].config
    with inflight(store) as known:
        jobs = {unit.id: job for unit in units if (job := _attached(unit, experiments, known)) is not None}
        attached = len(jobs)
        folder.write_submitted(jobs)
        for unit in units:
            if unit.kind == LLM and unit.id not in jobs:
                (job,) = _submit([(unit,)], folder, config.site, config.site.llm, unit.gpus, jobs)
                jobs[unit.id] = job
                _note(folder, known, (unit,), experiments, job)
        students = [unit for unit in units if unit.kind != LLM and unit.id not in jobs]
        packs = _packs(students, config.pack)
        longest = config.site.max_array or _max_array()
        for start in range(0, len(packs), longest):
            chunk = packs[start : start + longest]
            submitted = _submit(chunk, folder, config.site, config.site.student, config.site.student.gpus, jobs)
            for pack, job in zip(chunk, submitted, strict=True):
                jobs |= {unit.id: job for unit in pack}
                _note(folder, known, pack, experiments, job)
    say(f"{len(jobs) - attached} unit(s) submitted as {len({job['job'] for job in jobs.values()})} job(s), {attached} in the queue already")
    return jobs


def _keys(unit: Unit, experiments: Sequence[Experiment]) -> list[str]:
    """What the unit makes."""
    stage = "dataset" if unit.kind == LLM else "result"
    shard = unit.id.split("-")[2:] if unit.kind == LLM else []
    return ["/".join([experiments[number].keys[stage], *shard]) for number in unit.experiments]


def _attached(unit: Unit, experiments: Sequence[Experiment], known: Inflight) -> dict[str, str] | None:
    """A job in the queue that makes all that the unit would."""
    keys = _keys(unit, experiments)
    found = {known.job(key) for key in keys}
    job = found.pop() if len(found) == 1 else None
    return None if job is None else {"job": job, "log": known.log(keys[0]), "of": "another sweep"}


def _note(folder: SweepFolder, known: Inflight, pack: Sequence[Unit], experiments: Sequence[Experiment], job: dict[str, str]) -> None:
    known.note([key for unit in pack for key in _keys(unit, experiments)], job)
    folder.write_submitted({unit.id: job for unit in pack})


def _packs(students: Sequence[Unit], size: int) -> list[tuple[Unit, ...]]:
    """Students for one job each: `size` of those that wait for the same LLM jobs."""
    groups: dict[tuple[str, ...], list[Unit]] = {}
    for unit in students:
        groups.setdefault(unit.needs, []).append(unit)
    return [tuple(group[start : start + size]) for group in groups.values() for start in range(0, len(group), size)]


def _submit(packs: Sequence[tuple[Unit, ...]], folder: SweepFolder, site: Site, step: Step, gpus: int, jobs: Jobs) -> list[dict[str, str]]:
    """One sbatch call: a job, or an array of them; linked to the LLM jobs that they need before any may start."""
    import submitit

    needed = [tuple(dict.fromkeys(jobs[need]["job"] for unit in pack for need in unit.needs)) for pack in packs]
    distinct = list(dict.fromkeys(needed))
    executor = submitit.SlurmExecutor(folder.root / "submitit", python=step.python)
    parameters = _parameters(site, step, gpus, f"japagen-{packs[0][0].kind}-{folder.name}")
    if len(distinct) == 1 and distinct[0]:
        parameters["dependency"] = _afterany(distinct[0])
    elif len(distinct) > 1:
        parameters["additional_parameters"]["hold"] = True
    executor.update_parameters(**parameters)
    try:
        found = executor.map_array(run_job, [str(folder.root)] * len(packs), [[unit.id for unit in pack] for pack in packs])
    except (subprocess.CalledProcessError, submitit.core.utils.FailedJobError, submitit.core.utils.FailedSubmissionError) as error:
        said = str(getattr(error, "stderr", "") or error).strip().splitlines()
        raise ConfigError(f"sbatch refused the jobs: {said[-1] if said else error}; see site={site.name!r} (docs/cluster.md)") from error
    if len(distinct) > 1:
        try:
            _link(found, needed)
        except ConfigError:
            subprocess.run(["scancel", found[0].job_id.partition("_")[0]], check=False, timeout=60)  # held, it would stay for ever
            raise
    return [{"job": job.job_id, "log": str(job.paths.stdout)} for job in found]


def _link(jobs: Sequence[Any], needed: Sequence[tuple[str, ...]]) -> None:
    """Gives every task of a held array its own dependency, one call a set of them, then lets the array go."""
    array = jobs[0].job_id.partition("_")[0]
    for needs in dict.fromkeys(needed):
        if needs:
            tasks = ",".join(str(task) for task, own in enumerate(needed) if own == needs)
            _scontrol("update", f"jobid={array}_[{tasks}]", f"dependency={_afterany(needs)}")
    _scontrol("release", array)


def _afterany(jobs: Sequence[str]) -> str:
    return "afterany:" + ":".join(jobs)


def _scontrol(*arguments: str) -> None:
    done = subprocess.run(["scontrol", *arguments], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise ConfigError(f"scontrol {' '.join(arguments)} failed: {done.stderr.strip()}")


def _parameters(site: Site, step: Step, gpus: int, name: str) -> dict[str, Any]:
    """submitit's names for what the site asks of SLURM."""
    extra = {**step.extra, "requeue": True} if step.requeue else {**step.extra, "no-requeue": True}
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


def _wait(folder: SweepFolder, units: Sequence[Unit], jobs: Jobs, site: Site, after: Callable[[Unit], None]) -> None:
    """Returns when no unit can change any more: its state says so, or its job has left the queue."""
    open_units, silent, shown = {unit.id: unit for unit in units}, Counter[str](), ""
    while open_units:
        queued = queue_states({jobs[id_]["job"] for id_ in open_units})
        gone = []
        for id_ in list(open_units):
            state, job = folder.state(id_), jobs[id_]["job"]
            if state.state in (DONE, FAILED) or (queued is not None and job not in queued and state.state == UNFINISHED):
                after(open_units.pop(id_))
            elif queued is not None and job not in queued:
                gone.append(id_)
        if gone:
            _ask_accounting(folder, gone, jobs, silent, open_units)
        line = _counts(folder, units)
        if line != shown:
            say(line)
            shown = line
        if open_units:
            time.sleep(site.poll_s if not gone else 1.0)


def _ask_accounting(folder: SweepFolder, gone: Sequence[str], jobs: Jobs, silent: Counter[str], open_units: dict[str, Unit]) -> None:
    """Units whose jobs left the queue without a last word: killed, cancelled, out of memory; or another sweep's units."""
    ended = accounting_states({jobs[id_]["job"] for id_ in gone}) or {}
    for id_ in gone:
        job = jobs[id_]["job"]
        silent[id_] += 1
        if not {job, job.partition("_")[0]} & {*ended} and silent[id_] < LOOKS_AT_ACCOUNTING:
            continue
        state, code = ended.get(job) or ended.get(job.partition("_")[0]) or ("CANCELLED", "")  # of a cancelled waiting task nothing is kept
        if state not in ("COMPLETED", "PENDING", "RUNNING", "REQUEUED"):
            told = f"SLURM ended job {job}: {state}{' (exit ' + code + ')' if code else ''}; log: {jobs[id_]['log']}"
            folder.end(id_, UNFINISHED if state in ("PREEMPTED", "TIMEOUT", "NODE_FAIL", "CANCELLED") else FAILED, told)
        if state != "COMPLETED" or silent[id_] >= LOOKS_AT_ACCOUNTING or folder.state(id_).state != RUNNING:
            open_units.pop(id_, None)


def _counts(folder: SweepFolder, units: Sequence[Unit]) -> str:
    """'generation: 1 running; students: 3 done, 9 waiting'."""
    parts = []
    for title, kind in (("generation", LLM), ("students", "student")):
        counts = Counter(folder.state(unit.id).state for unit in units if unit.kind == kind)
        if counts:
            parts.append(f"{title}: " + ", ".join(f"{count} {state}" for state, count in sorted(counts.items())))
    return "; ".join(parts)


def _leave_or_cancel(folder: SweepFolder, jobs: Jobs) -> None:
    """Ctrl-C: asked once in a terminal; anywhere else the jobs are left."""
    ours = sorted({job["job"].partition("_")[0] for job in folder.submitted().values() if "of" not in job})
    answer = ""
    if ours and sys.stdin.isatty():
        try:
            answer = input(f"\n{len(ours)} SLURM job(s) or arrays of this sweep go on. Cancel them? [y/N] ")
        except (KeyboardInterrupt, EOFError):
            answer = ""
    if answer.strip().lower() in ("y", "yes"):
        subprocess.run(["scancel", *ours], check=False, timeout=60)
        say("cancelled; what was made is in the store")
    else:
        say(f"the jobs are left: japagen status {folder.name}; the same command waits for them again")
