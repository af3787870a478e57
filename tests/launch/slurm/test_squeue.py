"""SLURM's answers: one call for all jobs, arrays task by task, and `None` only where nobody answers."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.squeue import accounting_states, end_states, expand, queue_states
from tests.stubs.slurm_cluster import Slurm
from tests.stubs.waiting import eventually

Fake = Callable[..., Path]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Puts a command in the place of squeue or sacct, alone on the PATH; gives the file in which its calls are listed."""

    def make(name: str, answer: str = "", error: str = "", code: int = 0, before: str = "") -> Path:
        calls = tmp_path / "calls"
        lines = [
            "#!/bin/sh",
            f'printf "%s\\n" "$* [$SQUEUE_FORMAT$SQUEUE_STATES]" >> {calls}',
            before,
            f"printf '%s' {shlex.quote(answer)}",
        ]
        (tmp_path / name).write_text("\n".join([*lines, f"echo {shlex.quote(error)} >&2", f"exit {code}"]), encoding="utf-8")
        (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        return calls

    return make


def test_one_call_for_all_jobs(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SQUEUE_FORMAT", "%u")
    monkeypatch.setenv("SQUEUE_STATES", "FAILED")
    calls = fake("squeue", "12_4|RUNNING|None|15\n12_5|PENDING|Resources|12\n99|PENDING|Dependency|99\n")
    assert queue_states(["12_4", "12_5", "12_6", "99"]) == {
        "12_4": ("RUNNING", "None"),
        "15": ("RUNNING", "None"),
        "12_5": ("PENDING", "Resources"),
        "12": ("PENDING", "Resources"),
        "99": ("PENDING", "Dependency"),
    }
    assert calls.read_text(encoding="utf-8").splitlines() == ["--noheader --format=%i|%T|%r|%A --jobs=12,99 []"]


def test_arrays_that_are_not_expanded(fake: Fake) -> None:
    fake("squeue", "CLUSTER: lab\n12_[3-5%2]|PENDING|JobArrayTaskLimit|12\n")
    assert queue_states(["12_3"]) == dict.fromkeys(["12_3", "12_4", "12_5"], ("PENDING", "JobArrayTaskLimit"))


def test_no_job_is_no_call(fake: Fake) -> None:
    calls = fake("squeue")
    assert queue_states([]) == {}
    assert not calls.exists()


def test_a_job_that_slurm_does_not_know_is_gone(fake: Fake) -> None:
    fake("squeue", error="slurm_load_jobs error: Invalid job id specified", code=1)
    assert queue_states(["7"]) == {}


def test_who_does_not_answer_says_nothing(fake: Fake, tmp_path: Path) -> None:
    fake("squeue", error="slurm_load_jobs error: Unable to contact slurm controller (connect failure)", code=1)
    assert queue_states(["7"]) is None
    fake("squeue", before="exec /bin/sleep 60")
    assert queue_states(["7"], timeout_s=0.2) is None
    (tmp_path / "squeue").unlink()
    assert queue_states(["7"]) is None
    assert accounting_states(["7"]) is None


def test_accounting_says_how_jobs_ended(fake: Fake) -> None:
    calls = fake("sacct", "12_1|CANCELLED by 0|0:15\n12_2|OUT_OF_MEMORY|0:125\n13|NODE_FAIL|1:0\n12_[3-4]|PENDING|0:0\n")
    assert accounting_states(["12_1", "12_2", "13"]) == {
        "12_1": ("CANCELLED", "0:15"),
        "12_2": ("OUT_OF_MEMORY", "0:125"),
        "13": ("NODE_FAIL", "1:0"),
        "12_3": ("PENDING", "0:0"),
        "12_4": ("PENDING", "0:0"),
    }
    assert "-n -X -P -o JobID,State,ExitCode --jobs=12,13" in calls.read_text(encoding="utf-8")


def test_the_controller_says_how_jobs_ended_and_accounting_what_it_forgot(fake: Fake) -> None:
    squeue = "12_1|OUT_OF_MEMORY|OutOfMemory\n12_2|RUNNING|None\n12_3|COMPLETING|None\n14|PENDING|BeginTime\n"
    fake("squeue", squeue)
    calls = fake("sacct", "13|NODE_FAIL|1:0\n12_1|RUNNING|0:0\n12_2|FAILED|1:0\n15|RUNNING|0:0\n")
    assert end_states(["12_1", "12_2", "12_3", "13", "14", "15", "16"]) == {
        "12_1": ("OUT_OF_MEMORY", "OutOfMemory"),
        "13": ("NODE_FAIL", "1:0"),
    }
    asked = [line for line in calls.read_text(encoding="utf-8").splitlines() if line.startswith("-n -X")]
    assert len(asked) == 1
    fake("squeue", "12_1|CANCELLED|None\n")
    calls.unlink()
    assert end_states(["12_1"]) == {"12_1": ("CANCELLED", "None")}
    assert "-X" not in calls.read_text(encoding="utf-8"), "accounting is asked about the others only"
    assert end_states([]) == {}


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 5), st.integers(1, 4)), min_size=1, max_size=5), st.booleans())
def test_packed_tasks_are_all_named(parts: list[tuple[int, int, int]], is_throttled: bool) -> None:
    words = [
        f"{first}" if num == 0 else f"{first}-{first + num * step}:{step}" if step > 1 else f"{first}-{first + num}"
        for first, num, step in parts
    ]
    tasks = [task for first, num, step in parts for task in range(first, first + num * step + 1, step)]
    assert list(expand(f"12_[{','.join(words)}{'%3' if is_throttled else ''}]")) == [f"12_{task}" for task in tasks]


@pytest.mark.parametrize("job", ["12", "12_4", "12+1", "12_[1-3,...]", "x"])
def test_what_is_no_list_stays(job: str) -> None:
    assert list(expand(job)) == [job]


@pytest.mark.slow
@pytest.mark.slurm
def test_a_real_queue_and_its_accounting(slurm: Slurm, tmp_path: Path) -> None:
    array = slurm.submit("sleep 60", "--array=0-3%1", folder=tmp_path)
    slurm.wait(f"{array}_0", "RUNNING")
    found = queue_states([f"{array}_0", f"{array}_1", "999999"])
    assert found is not None
    assert found[f"{array}_0"][0] == "RUNNING"
    assert found[f"{array}_3"] == ("PENDING", "JobArrayTaskLimit")
    number = slurm.run("squeue", "-h", "-o", "%A", "-j", f"{array}_0")
    assert found[number][0] == "RUNNING"
    assert "999999" not in found
    assert queue_states(["999999"]) == {}
    slurm.run("scancel", array)
    assert eventually(lambda: not queue_states([array]), timeout_s=30)
    assert eventually(lambda: (accounting_states([array]) or {}).get(f"{array}_0", ("",))[0] == "CANCELLED", timeout_s=60)
