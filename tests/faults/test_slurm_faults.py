"""Sweeps on a cluster whose accounting tells nothing, or that takes few jobs: what the user reads, and that nothing is lost.

Lost nodes, preemption and a controller that is gone: tests/launch/slurm/test_slurm.py; all of it: benchmarks/faults.py.
"""

from collections.abc import Iterator

import pytest

from tests.faults.server import Running
from tests.faults.slurmfaults import CASES, Bench
from tests.faults.slurmsweep import labelled
from tests.stubs.slurm_daemons import is_ours

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.slurm]
SHORT = ("a student is killed, sacct and the controller tell nothing", "limit on submitted jobs (sbatch refuses the second call)")


@pytest.fixture(scope="module")
def bench(server: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    if not is_ours():
        pytest.skip("the SLURM of make slurm-up isn't running")
    with labelled() as slurm:
        yield Bench(slurm, server, tmp_path_factory.mktemp("slurm"))


@pytest.mark.parametrize("name", SHORT)
def test_what_the_cluster_refuses_is_told(bench: Bench, name: str) -> None:
    outcome = bench.try_case([case.name for case in CASES].index(name))
    assert outcome.is_well, outcome
