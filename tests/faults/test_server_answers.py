"""A stream filled from a server that answers in every wrong way: no row lost, none asked for twice, and the same texts in the end."""

import re
from pathlib import Path

import pytest

from japagen.llm import client
from tests.faults.answers import CASES, Case, try_case
from tests.faults.server import Running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("answers")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_no_row_is_lost_whatever_the_server_answers(case: Case, server: Running, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(client, "LONGEST_PAUSE_S", 0.1)
    outcome = try_case(case, server, folder)
    assert (outcome.rows_lost, outcome.rows_twice, outcome.repeated) == (0, 0, 0)
    assert re.search(case.message or "^$", outcome.message), outcome.message
    if not case.message:
        assert outcome.is_full
        assert outcome.is_same or not case.same
        stubborn = bool(case.plan.get("stubborn"))
        assert bool(outcome.failed_rows) == stubborn, "rows that can't be had stand with the server's words, and no other"
