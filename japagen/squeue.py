"""What SLURM says about jobs: one call of squeue, or of sacct for those that left the queue, however many jobs are asked about.

Jobs are named as users see them: 1234, and 1234_4 for a task of an array. None means that SLURM can't be asked (not installed, or its
controller doesn't answer), which is another thing than a job that isn't there.
"""

import os
import re
import subprocess
from collections.abc import Iterable, Iterator

TIMEOUT_S = 30.0
UNKNOWN_JOB = "Invalid job id"
"""squeue's refusal when the only job asked about is unknown; among several, unknown ones are left out in silence."""

OVER = frozenset(
    ["BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED", "TIMEOUT"]
)
"""States of jobs that have ended, and that nothing puts back into the queue."""
NOT_BEGUN = frozenset(["PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"])
"""States of jobs that wait in the queue, for the first time or again."""
AT_WORK = frozenset(["RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STOPPED", "SIGNALING", "RESIZING", "STAGE_OUT"])
"""States of jobs whose processes are there, or may be."""
RESUMES = frozenset(["PREEMPTED", "TIMEOUT", "NODE_FAIL", "CANCELLED", "DEADLINE", "BOOT_FAIL"])
"""Ends that say nothing about the work: the same command goes on."""
END_CAUSES = {
    "OUT_OF_MEMORY": "more than mem_gb allows",
    "TIMEOUT": "time_min was over",
    "COMPLETED": "but the unit left no word",
    "CANCELLED": "by hand, or by an administrator",
}
"""State of a job that has ended -> its cause in words."""
ORDINARY_REASONS = frozenset(["", "None", "Priority", "Resources", "Dependency", "BeginTime", "JobArrayTaskLimit", "Cleaning"])
"""Reasons to wait that call for nothing; others (a limit, a hold, a partition that is down) are shown."""


def queue_states(job_ids: Iterable[str], timeout_s: float = TIMEOUT_S) -> dict[str, tuple[str, str]] | None:
    """Job -> (state, reason), e.g. ('PENDING', 'Resources'), of those asked about that are in the queue.

    The other tasks of their arrays are in it too. Waiting tasks come as one word, since `squeue --array` leaves the last one out
    where tasks stand in steps (SLURM 22.05). A task is found under 1234_4 and under the number of its own that SLURM_JOB_ID has.
    """
    jobs = _arrays(job_ids)
    if not jobs:
        return {}
    lines = _ask(["squeue", "--noheader", "--format=%i|%T|%r|%A", f"--jobs={','.join(jobs)}"], timeout_s)
    if lines is None:
        return None
    found: dict[str, tuple[str, str]] = {}
    for job, state, reason, *number in lines:
        names = list(expand(job))
        for name in [*names, *(number if len(names) == 1 else [])]:
            found[name] = (state, reason)
    return found


def accounting_states(job_ids: Iterable[str], timeout_s: float = TIMEOUT_S) -> dict[str, tuple[str, str]] | None:
    """Job -> (state, exit code), e.g. ('OUT_OF_MEMORY', '0:125'), of those that the accounting knows; it lags by seconds."""
    jobs = _arrays(job_ids)
    if not jobs:
        return {}
    lines = _ask(["sacct", "-n", "-X", "-P", "-o", "JobID,State,ExitCode", f"--jobs={','.join(jobs)}"], timeout_s)
    if lines is None:
        return None
    return {name: (state.partition(" ")[0], code) for job, state, code in lines for name in expand(job)}


def end_states(job_ids: Iterable[str], timeout_s: float = TIMEOUT_S) -> dict[str, tuple[str, str]]:
    """Job -> (state, exit code or reason) of those that have ended: from the controller, which knows them for minutes, else sacct.

    Jobs that neither knows (yet) are left out. Of a waiting task of an array that was cancelled by its own number SLURM keeps no record.
    """
    asked = set(job_ids)
    jobs = _arrays(asked)
    if not jobs:
        return {}
    command = ["squeue", "--noheader", "--states=all", "--format=%i|%T|%r", f"--jobs={','.join(jobs)}"]
    told = {name: (state, reason) for job, state, reason in _ask(command, timeout_s) or [] for name in expand(job)}
    missing = asked - set(told)
    told |= {job: end for job, end in ((accounting_states(missing, timeout_s) or {}) if missing else {}).items() if job in missing}
    return {job: told[job] for job in asked if job in told and told[job][0] in OVER}


def expand(job: str) -> Iterator[str]:
    """The tasks that squeue or sacct writes in one word: 12_[1,3-5%2] is 12_1, 12_3, 12_4 and 12_5, two at a time; 12 is itself."""
    packed = re.fullmatch(r"(\d+)_\[([\d,:-]+)(?:%\d+)?\]", job)
    if packed is None:
        yield job
        return
    for part in packed[2].split(","):
        ends, _, step = part.partition(":")
        first, _, last = ends.partition("-")
        for task in range(int(first), int(last or first) + 1, int(step or 1)):
            yield f"{packed[1]}_{task}"


def _arrays(job_ids: Iterable[str]) -> list[str]:
    """Each job's or array's number once: thousands of tasks would not fit into one command."""
    return list(dict.fromkeys(job.partition("_")[0] for job in job_ids))


def _ask(command: list[str], timeout_s: float) -> list[list[str]] | None:
    """The columns of each line that has three or more; None where there is no answer."""
    settings = ("SQUEUE_", "SACCT_")  # the user's own defaults (formats, filters) would change what is listed
    environment = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
    environment["SLURM_BITSTR_LEN"] = "0"  # else lists of tasks are cut at 64 characters
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, env=environment, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return [] if UNKNOWN_JOB in done.stderr else None
    return [columns for line in done.stdout.splitlines() if len(columns := line.strip().split("|")) >= 3]
