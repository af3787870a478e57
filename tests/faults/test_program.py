"""run.py itself, killed at random moments, and met by file systems that fail: nothing lost, nothing twice, and the same end.

The long form is `benchmarks/faults.py` (make faults); JAPAGEN_FAULT_KILLS=200 makes this one longer.
"""

import os

import pytest

from tests.faults.kills import Killer
from tests.faults.program import Forker
from tests.faults.server import Running
from tests.faults.storefaults import (
    STUDENT,
    Bench,
    Outcome,
    can_mount,
    try_clock,
    try_dead_host,
    try_disk_full,
    try_read_only,
    try_small_disk,
    try_spoilt,
    try_torn,
    try_two_writers,
)

NUM_KILLS = int(os.environ.get("JAPAGEN_FAULT_KILLS", "3"))
pytestmark = [pytest.mark.faults, pytest.mark.slow]


@pytest.fixture(scope="module")
def killer(server: Running, forker: Forker, tmp_path_factory: pytest.TempPathFactory) -> Killer:
    return Killer("jcola", server, forker, tmp_path_factory.mktemp("kills"), share_fresh=0.15 if NUM_KILLS > 100 else 0.0)


@pytest.fixture(scope="module")
def bench(killer: Killer, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(killer, tmp_path_factory.mktemp("store"))


def test_killed_at_random_moments_it_comes_to_the_same_end(killer: Killer) -> None:
    num, seed = 0, 3
    while num < NUM_KILLS:
        loop = killer.loop(seed)
        assert loop.is_well, loop
        num, seed = num + len(loop.kills), seed + 1


def check_outcome(outcome: Outcome, message: str) -> None:
    assert outcome.printed == ""
    assert message in outcome.message
    assert (outcome.code != 0) == bool(message), outcome
    assert (outcome.rows_lost, outcome.rows_twice, outcome.repeated, outcome.processes_left) == (0, 0, 0, 0), outcome
    assert outcome.is_same, outcome
    assert not outcome.is_silent, outcome
    assert outcome.after == ""


@pytest.mark.parametrize(("at", "until"), [(17, ""), (100, "")])
def test_a_full_disk_is_told_and_nothing_is_lost(bench: Bench, at: int, until: str) -> None:
    check_outcome(try_disk_full(bench, at, until), "the disk is full")


@pytest.mark.skipif(not can_mount(), reason="file systems are made by root")
@pytest.mark.parametrize(("until", "spare_kb"), [("", 32), (STUDENT, 20_000)])
def test_a_disk_that_fills_up_is_told(bench: Bench, until: str, spare_kb: int) -> None:
    check_outcome(try_small_disk(bench, until, spare_kb), "the disk is full")


@pytest.mark.skipif(not can_mount(), reason="file systems are made by root")
def test_a_read_only_store_is_told(bench: Bench) -> None:
    check_outcome(try_read_only(bench, ""), "the file system is read-only")


@pytest.mark.parametrize(
    ("pattern", "how", "message"),
    [
        ("streams/*/rows-*.jsonl", "broken", "not a row of a stream"),
        ("models/*/model.safetensors", "flipped", "model.safetensors"),
    ],
)
def test_a_spoilt_file_is_named(bench: Bench, pattern: str, how: str, message: str) -> None:
    check_outcome(try_spoilt(bench, pattern, how), message)


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_clock_that_jumps_does_no_harm(bench: Bench, sign: str) -> None:
    check_outcome(try_clock(bench, 60, sign), "")


def test_a_dead_hosts_lock_is_taken_over(bench: Bench) -> None:
    check_outcome(try_dead_host(bench, "dataset"), "")


def test_a_torn_last_line_is_asked_for_again(bench: Bench) -> None:
    check_outcome(try_torn(bench), "")


def test_two_writers_make_what_one_would(bench: Bench) -> None:
    check_outcome(try_two_writers(bench), "")
