"""One writer a key at a time, and what becomes of a lock whose owner is gone."""

import json
import multiprocessing
import os
import socket
from pathlib import Path
from typing import Any

import psutil
import pytest

from japagen.store import locks
from japagen.store.locks import SILENT_S, LockWatch
from japagen.store.store import Store
from tests.stubs.lock_owners import foreign_lock


def _hold(root: Path, ready: Any, go_on: Any) -> None:
    with Store(root).lock("model", "k"):
        ready.set()
        go_on.wait(30)


@pytest.fixture
def holder(tmp_path: Path) -> Any:
    """A process that holds the lock, its events, and its end."""
    context = multiprocessing.get_context("spawn")
    ready, go_on = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(tmp_path, ready, go_on))
    process.start()
    assert ready.wait(30)
    yield process, go_on
    process.kill()
    process.join()


def test_a_second_process_waits_and_says_for_whom(tmp_path: Path, holder: Any) -> None:
    process, go_on = holder
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        go_on.set()

    with Store(tmp_path).lock("model", "k", say):
        process.join(30)
    assert len(said) == 1
    assert str(process.pid) in said[0]


def test_a_killed_owner_loses_its_lock_at_once(tmp_path: Path, holder: Any) -> None:
    process, _ = holder
    process.kill()
    process.join()
    said: list[str] = []
    with Store(tmp_path).lock("model", "k", said.append):
        pass
    assert said == []


def test_a_silent_owner_elsewhere_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "STALE_S", 0.5)
    foreign_lock(tmp_path)
    said: list[str] = []
    with Store(tmp_path).lock("model", "k", said.append):
        assert "elsewhere" in said[0]


def test_a_process_id_used_again_is_not_the_owner(tmp_path: Path) -> None:
    foreign_lock(tmp_path, host=socket.gethostname(), pid=os.getpid(), started=psutil.Process().create_time() - 1000)
    with Store(tmp_path).lock("model", "k", print):
        pass


def fake_squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Path:
    """Puts a squeue first on the path; the file that notes its calls."""
    calls = tmp_path / "calls"
    squeue = tmp_path / "bin" / "squeue"
    squeue.parent.mkdir()
    squeue.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n{script}\n', encoding="utf-8")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{squeue.parent}{os.pathsep}{os.environ['PATH']}")
    return calls


OVER = ["true", "echo PENDING", "echo CANCELLED", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1"]
AT_WORK_OR_UNKNOWN = [
    "echo RUNNING",
    "echo SUSPENDED",
    "printf 'PENDING\\nRUNNING\\n'",
    "echo 'Unable to contact slurm controller' >&2; exit 1",
    "exec sleep 60",
]


@pytest.mark.parametrize("script", OVER)
def test_an_owner_whose_slurm_job_is_over_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    calls = fake_squeue(tmp_path, monkeypatch, script)
    foreign_lock(tmp_path, slurm_job="77")
    said: list[str] = []
    with Store(tmp_path).lock("model", "k", said.append):
        assert said == []
    assert calls.read_text(encoding="utf-8") == "-h -j 77 -o %T\n"


@pytest.mark.parametrize("script", AT_WORK_OR_UNKNOWN)
def test_of_other_jobs_their_silence_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr(locks, "SQUEUE_TIMEOUT_S", 0.5)
    calls = fake_squeue(tmp_path, monkeypatch, script)
    watch = LockWatch(foreign_lock(tmp_path, slurm_job="77"))
    assert not any(watch.is_free() for _ in range(50))
    assert len(calls.read_text(encoding="utf-8").splitlines()) == 1, "SLURM is asked now and then only"
    monkeypatch.setattr(locks, "SQUEUE_EVERY_S", 0.0)
    assert not watch.is_free()
    assert len(calls.read_text(encoding="utf-8").splitlines()) == 2
    monkeypatch.setattr(locks, "STALE_S", 0.0)
    assert watch.is_free()
    assert not watch.path.exists()


def test_without_slurm_silence_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not LockWatch(foreign_lock(tmp_path, slurm_job="77")).is_free()


@pytest.mark.parametrize(
    ("ours", "theirs", "is_free"), [("1", 0, True), (None, 0, False), ("1", 1, False), ("1", 2, False), ("3", 2, True)]
)
def test_a_job_started_again_takes_its_own_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ours: str | None, theirs: int, is_free: bool
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    monkeypatch.delenv("SLURM_RESTART_COUNT", raising=False)
    if ours is not None:
        monkeypatch.setenv("SLURM_RESTART_COUNT", ours)
    assert LockWatch(foreign_lock(tmp_path, slurm_job="77", slurm_restarts=theirs)).is_free() == is_free


def test_a_lock_names_its_slurm_job_and_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    with Store(tmp_path).lock("model", "k") as lock:
        owner = json.loads(lock.path.read_text(encoding="utf-8"))
    assert (owner["slurm_job"], owner["slurm_restarts"]) == ("77", 2)


def test_an_empty_lock_file_is_waited_for_and_then_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = foreign_lock(tmp_path)
    path.write_text("", encoding="utf-8")
    watch = LockWatch(path)
    assert not watch.is_free()
    monkeypatch.setattr(locks, "STALE_S", 0.0)
    assert watch.is_free()


def test_a_lock_renewed_since_it_was_looked_at_is_put_back(tmp_path: Path) -> None:
    path = foreign_lock(tmp_path)
    watch = LockWatch(path)
    assert not watch.is_free()
    path.write_text(path.read_text(encoding="utf-8").replace('"beat": 0', '"beat": 1'), encoding="utf-8")
    watch._take_away()
    assert '"beat": 1' in path.read_text(encoding="utf-8")
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_the_heartbeat_changes_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "HEARTBEAT_S", 0.02)
    with Store(tmp_path).lock("model", "k") as lock:
        before = lock.path.read_text(encoding="utf-8")
        for _ in range(500):
            if lock.path.read_text(encoding="utf-8") != before:
                return
            lock._stop.wait(0.01)
    pytest.fail("no heartbeat")


def test_locks_are_listed_and_left_as_they_are(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.locks() == []
    path = foreign_lock(tmp_path)
    with store.lock("dataset", "d") as own:
        held = {one.path: one for one in store.locks()}
        assert held[own.path].is_living
        assert held[own.path].owner == f"process {os.getpid()} on {socket.gethostname()}"
        assert held[path].is_living
        assert [one.path for one in store.locks("d")] == [own.path]
    os.utime(path, (path.stat().st_mtime - SILENT_S - 1,) * 2)
    assert [one.is_living for one in store.locks()] == [False]
    assert path.exists()


def test_a_lost_lock_is_taken_away(tmp_path: Path) -> None:
    path = foreign_lock(tmp_path)
    assert not LockWatch(path).remove_lost()
    os.utime(path, (0, 0))
    assert LockWatch(path).remove_lost()
    assert not list(path.parent.iterdir())
    assert LockWatch(path).is_lost() is None
    assert not LockWatch(path).remove_lost()
