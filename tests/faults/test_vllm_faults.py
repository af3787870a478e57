"""run.py with a real vLLM whose engine hangs in mid-run: it is started again, and no row is lost or made twice.

Kills of its processes and of the client: benchmarks/faults.py, and tests/llm/.
"""

from pathlib import Path

import pytest

from tests.faults.program import Forker
from tests.faults.vllmfaults import CASES, try_case

pytestmark = [pytest.mark.faults, pytest.mark.slow, pytest.mark.vllm]


def test_an_engine_that_hangs_is_started_again(forker: Forker, tmp_path: Path) -> None:
    number = [case.title for case in CASES].index("the EngineCore hangs (SIGSTOP)")
    outcome = try_case(number, forker, tmp_path, seed=0)
    assert outcome.is_well, outcome
    assert outcome.servers == 2
