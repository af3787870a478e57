"""Access to a running SLURM cluster (`make slurm-up`), for tests that submit to it."""

import os
import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from japagen.squeue import expand
from tests.stubs.waiting import eventually

ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "PREEMPTED", "DEADLINE", "BOOT_FAIL", "GONE")


@dataclass
class Slurm:
    """The cluster, and what one test did on it."""

    key: str = field(default_factory=lambda: f"japagen-test-{uuid.uuid4().hex[:8]}")
    """Label of all jobs of the test."""

    def run(self, *command: str, cwd: Path | None = None) -> str:
        """What a command of SLURM's prints; AssertionError with its error when it fails."""
        environment = {**os.environ, "SLURM_BITSTR_LEN": "0"}  # lists of an array's tasks are else cut at 64 characters
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60, env=environment, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout.strip()

    def submit(self, script: str, *options: str, folder: Path) -> str:
        """Runs shell lines as a job of 1 CPU and 100 MiB that writes `folder`/<job>.out (an array's task: <array>_<task>.out)."""
        is_array = any(option.startswith("--array") for option in options)
        output = f"--output={folder}/{'%A_%a' if is_array else '%j'}.out"
        return self.run("sbatch", "--parsable", "--cpus-per-task=1", "--mem=100M", output, *options, f"--wrap={script}", cwd=folder)

    def queue(self, *options: str) -> dict[str, str]:
        """State of each job in the queue, tasks of arrays one by one (12_3); `-t all`: also of those that ended ten minutes ago."""
        # Not `squeue --array`: 22.05 then leaves out the last of pending tasks that stand in steps, such as 12_[1-13:2].
        lines = self.run("squeue", "--noheader", "--format=%i|%T", *options).splitlines()
        return {job: state for packed, state in (line.split("|") for line in lines) for job in expand(packed)}

    def table(self, *jobs: str) -> list[dict[str, str]]:
        """sacct's rows of the jobs, every start of a requeued one, with their GPUs and limits; it lags some seconds behind."""
        columns = "JobID,JobName,Partition,State,ExitCode,AllocCPUS,ReqMem,ReqTRES,Timelimit,Start,End"
        lines = self.run("sacct", "-XDP", f"--jobs={','.join(jobs)}", f"--format={columns}").splitlines()
        return [dict(zip(lines[0].split("|"), line.split("|"), strict=True)) for line in lines[1:]]

    def state(self, job: str) -> str:
        """The job's present state: the controller's word, which knows ended jobs for ten minutes."""
        array = job.partition("_")[0]
        states = self.queue("--states=all", f"--jobs={array}")
        # A task that was cancelled by its own number while it waited leaves no record, unless it was the array's last
        return states.get(job) or states.get(array) or "GONE"

    def wait(self, job: str, *states: str, timeout_s: float = 60.0) -> str:
        """Waits until the job is in one of `states` (none given: until it ended); returns which."""
        wanted, seen = states or ENDED, ""

        def reached() -> bool:
            nonlocal seen
            seen = self.state(job)
            return seen in wanted

        assert eventually(reached, timeout_s, every_s=0.2), f"job {job} is {seen} after {timeout_s:.0f} s, not {' or '.join(wanted)}"
        return seen

    def cancel_all(self) -> None:
        """Cancels what this test submitted and is still there, and waits until its processes are gone."""
        lines = [line.split("|") for line in self.run("squeue", "--noheader", "--format=%F|%w").splitlines()]
        ours = {array for array, key in lines if key == self.key}
        if ours:
            subprocess.run(["scancel", *ours], check=False, timeout=60)  # fails where one has just ended
            assert eventually(lambda: not ours & {job.partition("_")[0] for job in self.queue()}, timeout_s=30), "jobs outlive scancel"
