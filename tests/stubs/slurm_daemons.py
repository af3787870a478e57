"""The cluster of `make slurm-up`, with parts of it taken away for a while: a node, the controller; or with a limit put on it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.stubs.slurm_cluster import Slurm
from tests.stubs.waiting import eventually

PIDS = Path("/run/japagen-slurm")
CONFIGURATION = Path("/etc/slurm/slurm.conf")


def is_ours() -> bool:
    """Whether the SLURM here is the one of make slurm-up."""
    return (PIDS / "slurmctld.pid").is_file()


@contextmanager
def lost_node(slurm: Slurm, node: str, job: str) -> Iterator[None]:
    """The node, with all processes of the job on it, is dead inside."""
    psutil.Process(int((PIDS / f"slurmd-{node}.pid").read_text(encoding="utf-8"))).kill()
    for process in psutil.process_iter(["cmdline", "environ"]):
        of_job = (process.info["environ"] or {}).get("SLURM_JOB_ID") == job
        if of_job or " ".join(process.info["cmdline"] or []).startswith(f"slurmstepd: [{job}."):
            process.kill()
    try:
        slurm.run("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
        yield
    finally:
        subprocess.run(["slurmd", "-N", node], check=True, timeout=30)
        assert eventually(lambda: slurm.run("sinfo", "-hN", "-n", node, "-p", "main", "-o", "%t") in ("idle", "mix", "alloc"), 60)


@contextmanager
def no_controller() -> Iterator[None]:
    """slurmctld is gone inside. It may put its state away: killed, it gives numbers of jobs twice, and nodes that know them are drained."""
    daemon = psutil.Process(int((PIDS / "slurmctld.pid").read_text(encoding="utf-8")))
    daemon.terminate()
    assert eventually(lambda: not daemon.is_running() or daemon.status() == psutil.STATUS_ZOMBIE, 30)
    try:
        yield
    finally:
        subprocess.run(["slurmctld", "-i"], check=True, timeout=30)
        ping = ["scontrol", "ping"]
        assert eventually(lambda: subprocess.run(ping, capture_output=True, check=False, timeout=30).returncode == 0, 60, every_s=0.5)


@contextmanager
def configured(*lines: str) -> Iterator[None]:
    """The controller has these lines of slurm.conf inside."""
    before = CONFIGURATION.read_text(encoding="utf-8")
    names = {line.partition("=")[0] for line in lines}
    kept = [line for line in before.splitlines() if line.partition("=")[0] not in names]
    try:
        with no_controller():
            CONFIGURATION.write_text("\n".join([*lines, *kept]) + "\n", encoding="utf-8")
        yield
    finally:
        with no_controller():
            CONFIGURATION.write_text(before, encoding="utf-8")
