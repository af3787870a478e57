"""What the faults' tests share: a server that fails as it is told, and a process from which runs are forked."""

from collections.abc import Iterator

import pytest

from tests.faults.program import Forker
from tests.faults.program import forker as forking
from tests.faults.server import Running, running


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running() as found:
        yield found


@pytest.fixture(scope="module")
def forker() -> Iterator[Forker]:
    with forking() as found:
        yield found
