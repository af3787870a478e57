"""The cluster that `make slurm-up` starts: what the other SLURM tests stand on."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.stubs.slurm_cluster import Slurm
from tests.stubs.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.slurm]
PIDS = Path("/run/japagen-slurm")


def daemons() -> dict[str, str]:
    """Pid file -> pid."""
    return {path.name: path.read_text(encoding="utf-8").strip() for path in PIDS.glob("*.pid")}


@pytest.fixture
def our_cluster(slurm: Slurm) -> Slurm:
    if not PIDS.is_dir():
        pytest.skip("the SLURM here is not the one of make slurm-up")
    return slurm


def test_up_changes_nothing_on_a_healthy_cluster(our_cluster: Slurm) -> None:
    settings = {  # whatever this cluster was started with
        "NODES": our_cluster.run("sinfo", "-h", "-p", "main", "-o", "%D"),
        "GRACE": our_cluster.run("scontrol", "show", "partition", "low").split("GraceTime=")[1].split()[0],
    }
    before, configuration = daemons(), Path("/etc/slurm/slurm.conf").stat().st_mtime_ns
    assert {"slurmctld.pid", "slurmd-n1.pid", "slurmdbd.pid"} <= set(before)
    environment = {**os.environ, **{f"JAPAGEN_SLURM_{name}": value for name, value in settings.items()}}
    up = subprocess.run([ROOT / "launch/cluster/up.sh"], capture_output=True, text=True, timeout=120, env=environment, check=False)
    assert up.returncode == 0, up.stderr
    assert f"of {settings['NODES']} nodes" in up.stdout
    assert daemons() == before
    assert Path("/etc/slurm/slurm.conf").stat().st_mtime_ns == configuration


def test_nodes_take_jobs(slurm: Slurm) -> None:
    def states() -> set[str]:
        return set(slurm.run("sinfo", "-hN", "-p", "main", "-o", "%T").splitlines())

    assert eventually(lambda: states() <= {"idle", "mixed", "allocated"}, timeout_s=30), states()


def test_a_job_sees_the_gpus_it_asked_for(our_cluster: Slurm, tmp_path: Path) -> None:
    none, one, two = (
        our_cluster.submit('echo "devices=${CUDA_VISIBLE_DEVICES-}"', *options, folder=tmp_path)
        for options in ([], ["--gres=gpu:1"], ["--gpus-per-node=2"])
    )
    assert [our_cluster.wait(job) for job in (none, one, two)] == ["COMPLETED"] * 3
    seen = [(tmp_path / f"{job}.out").read_text(encoding="utf-8").strip() for job in (none, one, two)]
    assert seen[0] == "devices="
    assert seen[1] in ("devices=0", "devices=1")
    assert seen[2] == "devices=0,1"


def test_accounting_knows_how_a_job_ended(our_cluster: Slurm, tmp_path: Path) -> None:
    job = our_cluster.submit("exit 3", "--gres=gpu:1", folder=tmp_path)
    assert our_cluster.wait(job) == "FAILED"
    wanted = [("FAILED", "3:0", True)]  # the columns come at different times

    def reported() -> list[tuple[str, str, bool]]:
        return [(row["State"], row["ExitCode"], "gres/gpu=1" in row["ReqTRES"]) for row in our_cluster.table(job)]

    assert eventually(lambda: reported() == wanted, timeout_s=30), reported()


def test_what_a_test_leaves_is_cancelled_and_nothing_else(our_cluster: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = our_cluster.submit("exec sleep 600", "--hold", "--array=0-1", folder=tmp_path)
    monkeypatch.setenv("SBATCH_WCKEY", "another")
    other = our_cluster.submit("exec sleep 600", "--hold", folder=tmp_path)
    try:
        our_cluster.cancel_all()
        assert [our_cluster.state(job) for job in (f"{ours}_0", f"{ours}_1", other)] == ["CANCELLED", "CANCELLED", "PENDING"]
    finally:
        our_cluster.run("scancel", other)


def test_a_requeued_job_knows_that_it_is_not_its_first_start(our_cluster: Slurm, tmp_path: Path) -> None:
    script = 'echo "start ${SLURM_RESTART_COUNT-0}"; if [ -z "$SLURM_RESTART_COUNT" ]; then exec sleep 600; fi'
    job = our_cluster.submit(script, "--requeue", "--open-mode=append", folder=tmp_path)
    output = tmp_path / f"{job}.out"
    assert eventually(lambda: output.is_file() and "start 0" in output.read_text(encoding="utf-8"))
    our_cluster.run("scontrol", "requeue", job)
    assert our_cluster.wait(job, "COMPLETED") == "COMPLETED"
    assert "start 1" in output.read_text(encoding="utf-8")


def test_every_waiting_task_of_an_array_is_seen(our_cluster: Slurm, tmp_path: Path) -> None:
    before = our_cluster.submit("true", "--hold", folder=tmp_path)
    array = our_cluster.submit("true", "--hold", "--array=0-99", folder=tmp_path)
    our_cluster.run("scontrol", "update", f"jobid={array}_[{','.join(map(str, range(0, 100, 2)))}]", f"dependency=afterany:{before}")
    assert {f"{array}_{task}" for task in range(100)} <= set(our_cluster.queue())
    our_cluster.run("scancel", f"{array}_[{','.join(map(str, range(1, 100, 7)))}]")
    assert our_cluster.state(f"{array}_99") == "GONE"
    assert our_cluster.state(f"{array}_97") == our_cluster.state(f"{array}_98") == "PENDING"


def test_a_task_of_an_array_waits_for_its_own_job(our_cluster: Slurm, tmp_path: Path) -> None:
    long = our_cluster.submit("exec sleep 600", folder=tmp_path)
    short = our_cluster.submit("exit 1", folder=tmp_path)
    array = our_cluster.submit("true", "--hold", "--array=0-3", folder=tmp_path)
    our_cluster.run("scontrol", "update", f"jobid={array}_[0,2]", f"dependency=afterany:{short}")
    our_cluster.run("scontrol", "update", f"jobid={array}_[1,3]", f"dependency=afterany:{long}")
    our_cluster.run("scontrol", "release", array)
    for task in (0, 2):
        assert our_cluster.wait(f"{array}_{task}") == "COMPLETED"
    assert [our_cluster.state(f"{array}_{task}") for task in (1, 3)] == ["PENDING", "PENDING"]
    our_cluster.run("scancel", long)
    for task in (1, 3):
        assert our_cluster.wait(f"{array}_{task}") == "COMPLETED"


def test_a_job_that_takes_too_much_memory_is_ended(our_cluster: Slurm, tmp_path: Path) -> None:
    if "cgroup" not in our_cluster.run("scontrol", "show", "config").split("ProctrackType")[1].splitlines()[0]:
        pytest.skip("memory limits need cgroup v1")
    job = our_cluster.submit("python3 -c 'bytearray(400 << 20)'", folder=tmp_path)
    assert our_cluster.wait(job) == "OUT_OF_MEMORY"
