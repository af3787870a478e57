"""The running SLURM cluster, for tests that submit to it."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.stubs.slurm_cluster import Slurm


@pytest.fixture(scope="session")
def slurm_answers() -> bool:
    """Whether there is a cluster; asked once, because a controller that is down takes its time to say nothing."""
    try:
        return subprocess.run(["scontrol", "ping"], capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@pytest.fixture
def slurm(slurm_answers: bool, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slurm]:
    """The running cluster; what the test submits, itself or through programs it starts, is cancelled when it ends, however it ends."""
    if not slurm_answers:
        pytest.skip("no SLURM here: make slurm-up")
    cluster = Slurm()
    monkeypatch.setenv("SBATCH_WCKEY", cluster.key)  # a label that every sbatch takes over: others use this cluster at the same time
    yield cluster
    cluster.cancel_all()
