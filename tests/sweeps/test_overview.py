"""A sweep's units as they are: from what they wrote, what lives, and what SLURM has in its queue."""

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.errors import StoreError
from japagen.output import format_duration
from japagen.store.files import read_json, write_json
from japagen.store.store import Store
from japagen.sweeps.folder import (
    DONE,
    FAILED,
    LLM,
    RUNNING,
    STUDENT,
    UNFINISHED,
    WAITING,
    Planned,
    State,
    SweepFolder,
    Unit,
)
from japagen.sweeps.overview import (
    LOST,
    Queue,
    find_sweep,
    find_units,
    job_ids,
    read_overview,
    sum_progress,
    with_ends,
)

NAMES = ["jnli-japagen-0-shot-big-bert-seed0", "jnli-japagen-0-shot-big-bert-seed1"]
UNITS = [Unit("llm-0", LLM, "big, 1 stream(s)", (0, 1)), *(Unit(f"student-000{n}", STUDENT, NAMES[n], (n,), ("llm-0",)) for n in (0, 1))]
HERE = State(RUNNING, host=socket.gethostname(), pid=os.getpid(), attempts=1)
THERE = State(RUNNING, host="n17", pid=1, slurm_job="12_0", attempts=1)


@pytest.fixture
def folder(tmp_path: Path) -> SweepFolder:
    planned = [Planned(name, "jnli", {"result": f"r{number}"}) for number, name in enumerate(NAMES)]
    return backdate(SweepFolder.create(Store(tmp_path), "first", [], planned, UNITS))


def backdate(folder: SweepFolder) -> SweepFolder:
    """As if the plan were a minute old."""
    plan = folder.plan()
    plan["created"] = "2026-01-01T00:00:00+00:00"
    write_json(folder.root / "plan.json", plan)
    return folder


def replan(folder: SweepFolder) -> None:
    """As if the same command were given again, later than everything so far."""
    plan = folder.plan()
    plan["created"] = "2999-01-01T00:00:00+00:00"
    write_json(folder.root / "plan.json", plan)


def states(folder: SweepFolder, queue: Queue = None) -> list[str]:
    return [row.state for row in read_overview(folder, queue).rows]


def publish(folder: SweepFolder, key: str) -> None:
    result = folder.root.parent.parent / "results" / key
    result.mkdir(parents=True)
    (result / "meta.json").write_text("{}", encoding="utf-8")


def started(state: State, ago_s: float = 1.0) -> State:
    return replace(state, started=time.time() - ago_s)


def test_before_anything_runs_all_wait(folder: SweepFolder) -> None:
    overview = read_overview(folder, None)
    assert [row.state for row in overview.rows] == [WAITING] * 3
    assert overview.exit_code == 2
    assert overview.counts(STUDENT) == {WAITING: 2}


def test_what_lives_here_runs_and_what_is_gone_is_lost(folder: SweepFolder) -> None:
    folder.write_state("llm-0", started(HERE))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    folder.write_state("student-0000", started(replace(HERE, pid=ended.pid)))
    ended.wait()
    folder.write_state("student-0001", started(replace(HERE), ago_s=10**9))  # the pid's process began later than the unit
    overview = read_overview(folder, None)
    assert [row.state for row in overview.rows] == [RUNNING, LOST, LOST]
    assert "its process is gone" in overview.rows[1].cause
    assert overview.exit_code == 2


def test_a_process_that_nobody_buried_is_gone(folder: SweepFolder) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.read()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    folder.write_state("llm-0", started(replace(HERE, pid=child.pid)))
    assert states(folder)[0] == LOST
    child.wait()


def test_a_job_elsewhere_is_lost_when_it_left_the_queue(folder: SweepFolder) -> None:
    folder.write_state("llm-0", started(THERE))
    assert states(folder, None)[0] == RUNNING, "nobody can be asked"
    assert states(folder, {"12_0": ("RUNNING", "None")})[0] == RUNNING
    assert states(folder, {"12_1": ("RUNNING", "None")})[0] == LOST


def test_submitted_units_say_what_slurm_says(folder: SweepFolder) -> None:
    folder.write_submitted({"llm-0": {"job": "11", "log": "/x"}, "student-0000": {"job": "12_0", "log": "/y"}})
    folder.write_submitted({"student-0001": {"job": "12_1", "log": "/z"}})
    overview = read_overview(folder, {"11": ("PENDING", "Resources"), "12_0": ("PENDING", "Dependency")})
    assert [(row.state, row.queue) for row in overview.rows] == [
        (WAITING, ("PENDING", "Resources")),
        (WAITING, ("PENDING", "Dependency")),
        (LOST, None),
    ]
    assert "left the queue before the unit began" in overview.rows[2].cause
    assert overview.exit_code == 2
    assert states(folder, None) == [WAITING] * 3, "where SLURM can't be asked, nothing is lost"
    assert job_ids(folder) == {"11", "12_0", "12_1"}


def test_lost_units_say_how_their_jobs_ended(folder: SweepFolder) -> None:
    folder.write_state("llm-0", started(THERE))
    folder.write_state("student-0000", started(replace(HERE, state=FAILED, slurm_job="12_0", cause="no memory")))
    overview = with_ends(read_overview(folder, {}), {"12_0": ("OUT_OF_MEMORY", "0:125")})
    assert overview.rows[0].cause.endswith("; SLURM's accounting: OUT_OF_MEMORY, exit code 0:125")
    assert overview.rows[1].cause == "no memory"
    assert with_ends(overview, None) == overview


@pytest.mark.parametrize("state", [RUNNING, UNFINISHED])
def test_a_requeued_unit_waits_again(folder: SweepFolder, state: str) -> None:
    folder.write_submitted({"llm-0": {"job": "12_0", "log": "/x"}})
    folder.write_state("llm-0", replace(THERE, state=state, cause="SIGUSR2"))
    row = read_overview(folder, {"12_0": ("PENDING", "BeginTime")}).rows[0]
    assert (row.state, row.queue, row.cause) == (WAITING, ("PENDING", "BeginTime"), "SIGUSR2")


def test_a_unit_failed_in_a_job_that_still_ends_stays_failed(folder: SweepFolder) -> None:
    folder.write_submitted({"llm-0": {"job": "12_0", "log": "/x"}})
    folder.write_state("llm-0", replace(THERE, state=FAILED, cause="no memory"))
    assert states(folder, {"12_0": ("COMPLETING", "None")})[0] == FAILED
    assert states(folder, {})[0] == FAILED
    folder.write_submitted({"llm-0": {"job": "13_0", "log": "/x"}})
    assert states(folder, {"13_0": ("PENDING", "Priority")})[0] == WAITING, "it was submitted again"


def test_what_an_earlier_start_left_is_still_to_do(folder: SweepFolder) -> None:
    folder.write_state("llm-0", replace(HERE, state=FAILED))
    folder.write_state("student-0000", replace(HERE, state=UNFINISHED))
    folder.write_state("student-0001", started(HERE))
    replan(folder)
    assert states(folder) == [WAITING, WAITING, RUNNING]
    folder.write_state("student-0001", started(replace(HERE, pid=2**22 - 1)))
    assert states(folder) == [WAITING] * 3


def test_a_result_in_the_store_is_done_whoever_made_it(folder: SweepFolder) -> None:
    folder.write_state("student-0000", started(replace(HERE, pid=2**22 - 1)))
    publish(folder, "r0")
    assert states(folder) == [WAITING, DONE, WAITING]
    publish(folder, "r1")
    overview = read_overview(folder, None)
    assert [row.state for row in overview.rows] == [DONE] * 3, "the texts served their purpose"
    assert overview.exit_code == 0


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ([DONE, DONE, DONE], 0),
        ([DONE, DONE, FAILED], 1),
        ([DONE, UNFINISHED, DONE], 1),
        ([FAILED, WAITING, DONE], 2),
        ([UNFINISHED, WAITING, WAITING], 1),
        ([DONE, RUNNING, FAILED], 2),
    ],
)
def test_exit_codes(folder: SweepFolder, written: list[str], code: int) -> None:
    for unit, state in zip(UNITS, written, strict=True):
        if state != WAITING:
            folder.write_state(unit.id, started(replace(HERE, state=state)))
    assert read_overview(folder, None).exit_code == code


def test_logs_are_those_of_the_latest_start(folder: SweepFolder) -> None:
    old, new = folder.root / "logs" / "old.log", folder.root / "logs" / "new.log"
    assert read_overview(folder, None).rows[0].log == folder.log("llm-0")
    old.write_text("x", encoding="utf-8")
    folder.write_state("llm-0", replace(THERE, log=str(old)))
    folder.write_submitted({"llm-0": {"job": "13", "log": str(new)}})
    assert read_overview(folder, None).rows[0].log == old, "the new job has written nothing yet"
    new.write_text("x", encoding="utf-8")
    assert read_overview(folder, None).rows[0].log == new


def test_progress_is_summed_and_told_by_the_stream_in_work() -> None:
    first = {"wanted": 100, "accepted": 100, "rejected": 0, "new_rows": 100, "new_tokens": 5, "seconds": 1.0}
    second = {"wanted": 100, "accepted": 20, "rejected": 60, "new_rows": 40, "new_tokens": 5, "seconds": 10.0}
    texts = sum_progress({"a": first, "b": second})
    assert (texts.accepted, texts.wanted, texts.rows_per_s) == (120, 200, 4.0)
    assert texts.left_s == pytest.approx(80 * 180 / 120 / 4.0)
    assert sum_progress({"b": {**second, "seconds": 0.0}}).left_s is None
    assert sum_progress({"b": {**second, "accepted": 0}}).left_s is None


@given(st.floats(0, 10**8))
def test_durations_are_short(seconds: float) -> None:
    text = format_duration(seconds)
    assert len(text) <= 11
    number, unit = text.split()
    per = {"s": 1, "min": 60, "h": 3600, "days": 86400}[unit]
    assert float(number) * per == pytest.approx(seconds, rel=0.06, abs=0.51 * per)


def test_sweeps_are_found_by_their_beginning(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StoreError, match="there is no sweep in"):
        find_sweep(store, None)
    for number, name in enumerate(("monday-1", "monday-10", "tuesday")):
        folder = SweepFolder.create(store, name, [], [], [])
        os.utime(folder.root / "plan.json", (number, number))
    assert find_sweep(store, None).name == "tuesday"
    assert find_sweep(store, "tue").name == "tuesday"
    assert find_sweep(store, "monday-1").name == "monday-1"
    with pytest.raises(StoreError, match=r"2 sweeps are called mon…: monday-10, monday-1"):
        find_sweep(store, "mon")
    with pytest.raises(StoreError, match=r"no sweep of .* is called 'tusday' \(did you mean 'tuesday'\?\)"):
        find_sweep(store, "tusday")


def test_units_are_found_by_id_job_and_experiment(folder: SweepFolder) -> None:
    folder.write_submitted({"student-0001": {"job": "12_1", "log": "/x"}})
    folder.write_state("student-0000", replace(THERE, slurm_job="9_0"))
    overview = read_overview(folder, None)

    def found(name: str) -> list[str]:
        return [row.unit.id for row in find_units(overview, name)]

    assert found("llm-0") == ["llm-0"]
    assert found("12_1") == ["student-0001"]
    assert found("9_0") == ["student-0000"]
    assert found("12") == ["student-0001"]
    assert found("jnli-japagen") == ["student-0000", "student-0001"]
    assert found(NAMES[1]) == ["student-0001"]
    assert found("nothing") == []


def test_a_plan_that_cannot_be_read_is_named(folder: SweepFolder) -> None:
    (folder.root / "plan.json").write_text(json.dumps([])[:1], encoding="utf-8")
    with pytest.raises(StoreError, match=r"plan\.json can't be read"):
        read_overview(folder, None)


@pytest.mark.parametrize("plan", [[], {"units": []}, {"experiments": [{"title": "x"}], "created": "", "command": [], "units": []}])
def test_a_plan_of_another_form_says_what_to_do(folder: SweepFolder, plan: Any) -> None:
    write_json(folder.root / "plan.json", plan)
    with pytest.raises(StoreError, match=r"sweep first: its plan\.json is not one of this version's.*; start the sweep again"):
        read_overview(folder, None)


def test_however_often_it_is_drawn_the_plan_is_read_once(folder: SweepFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counted(path: Path) -> Any:
        read.append(path.name)
        return read_json(path)

    monkeypatch.setattr("japagen.sweeps.folder.read_json", counted)
    watched = SweepFolder(folder.root)
    assert [len(read_overview(watched, None).rows) for _ in range(3)] == [3, 3, 3]
    assert read.count("plan.json") == 1
    write_json(folder.root / "plan.json", read_json(folder.root / "plan.json") | {"units": []})
    assert not read_overview(watched, None).rows, "a later start of the sweep is seen"
    assert read.count("plan.json") == 2
