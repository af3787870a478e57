"""The store: whole artifacts or none, one writer a key, and clear words for a file system that refuses."""

import errno
import json
import multiprocessing
import os
import socket
from pathlib import Path
from typing import Any

import psutil
import pytest

from japagen import store as store_module
from japagen.errors import StoreError
from japagen.store import SILENT_S, HeldError, LockWatch, Store, explain_os_errors, read_json


def build(folder: Path) -> dict[str, Any]:
    (folder / "file.txt").write_text("x", encoding="utf-8")
    return {"num": 1}


def test_publishes_with_meta_and_checksums(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.lock("model", "k") as lock:
        folder = store.publish("model", "k", build, {"a": 1}, lock)
    assert store.find("model", "k") == folder
    meta = store.meta("model", "k")
    assert meta["num"] == 1
    assert meta["identity"] == {"a": 1}
    assert meta["checksums"] == {"file.txt": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}
    assert not list((tmp_path / "locks").iterdir())


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def fail(folder: Path) -> dict[str, Any]:
        build(folder)
        raise RuntimeError("stop")

    with store.lock("model", "k") as lock, pytest.raises(RuntimeError, match="stop"):
        store.publish("model", "k", fail, {}, lock)
    assert store.find("model", "k") is None
    assert not list((tmp_path / "models").iterdir())


def test_a_folder_without_meta_is_replaced(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.path("model", "k").mkdir(parents=True)
    (store.path("model", "k") / "torn").write_text("x", encoding="utf-8")
    assert store.find("model", "k") is None
    with store.lock("model", "k") as lock:
        store.publish("model", "k", build, {}, lock)
    assert sorted(path.name for path in store.path("model", "k").iterdir()) == ["file.txt", "meta.json"]


def test_a_broken_meta_is_named(tmp_path: Path) -> None:
    path = tmp_path / "meta.json"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(StoreError, match=r"meta\.json can't be read"):
        read_json(path)


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


def foreign_lock(tmp_path: Path, **changes: Any) -> Path:
    owner = {"host": "elsewhere", "pid": 1, "started": 0.0, "token": "t", "beat": 0, "slurm_job": None} | changes
    path = tmp_path / "locks" / "model-k.lock"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(owner), encoding="utf-8")
    return path


def test_a_silent_owner_elsewhere_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "STALE_S", 0.5)
    foreign_lock(tmp_path)
    said: list[str] = []
    with Store(tmp_path).lock("model", "k", said.append):
        assert "elsewhere" in said[0]


def test_a_process_id_used_again_is_not_the_owner(tmp_path: Path) -> None:
    foreign_lock(tmp_path, host=socket.gethostname(), pid=os.getpid(), started=psutil.Process().create_time() - 1000)
    with Store(tmp_path).lock("model", "k", print):
        pass


@pytest.mark.parametrize("is_killed", [True, False])
def test_what_a_killed_owner_left_half_made_is_removed(tmp_path: Path, is_killed: bool) -> None:
    left, other = (tmp_path / "models" / f".{key}.01234567.tmp" for key in ("k", "other"))
    for folder in (left, other):
        folder.mkdir(parents=True)
    if is_killed:
        foreign_lock(tmp_path, host=socket.gethostname(), pid=os.getpid(), started=psutil.Process().create_time() - 1000)
    with Store(tmp_path).lock("model", "k"):
        assert left.exists() != is_killed, "without a lock of its nobody was killed, and no folder is looked through"
    assert other.exists()


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
    monkeypatch.setattr(store_module, "SQUEUE_TIMEOUT_S", 0.5)
    calls = fake_squeue(tmp_path, monkeypatch, script)
    watch = LockWatch(foreign_lock(tmp_path, slurm_job="77"))
    assert not any(watch.is_free() for _ in range(50))
    assert len(calls.read_text(encoding="utf-8").splitlines()) == 1, "SLURM is asked now and then only"
    monkeypatch.setattr(store_module, "SQUEUE_EVERY_S", 0.0)
    assert not watch.is_free()
    assert len(calls.read_text(encoding="utf-8").splitlines()) == 2
    monkeypatch.setattr(store_module, "STALE_S", 0.0)
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
    monkeypatch.setattr(store_module, "STALE_S", 0.0)
    assert watch.is_free()


def test_a_lock_renewed_since_it_was_looked_at_is_put_back(tmp_path: Path) -> None:
    path = foreign_lock(tmp_path)
    watch = LockWatch(path)
    assert not watch.is_free()
    path.write_text(path.read_text(encoding="utf-8").replace('"beat": 0', '"beat": 1'), encoding="utf-8")
    watch._take_away()
    assert '"beat": 1' in path.read_text(encoding="utf-8")
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_who_lost_the_lock_publishes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.lock("model", "k") as lock:
        lock.path.write_text(json.dumps({"host": "elsewhere", "pid": 7, "token": "other"}), encoding="utf-8")
        with pytest.raises(StoreError, match="taken over by process 7 on elsewhere"):
            store.publish("model", "k", build, {}, lock)
    assert store.find("model", "k") is None
    assert lock.path.exists(), "another owner's lock must stay"


def test_the_heartbeat_changes_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "HEARTBEAT_S", 0.02)
    with Store(tmp_path).lock("model", "k") as lock:
        before = lock.path.read_text(encoding="utf-8")
        for _ in range(500):
            if lock.path.read_text(encoding="utf-8") != before:
                return
            lock._stop.wait(0.01)
    pytest.fail("no heartbeat")


@pytest.mark.parametrize(("number", "words"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only"), (errno.EACCES, "no permission")])
def test_refusals_of_the_file_system_are_explained(tmp_path: Path, number: int, words: str) -> None:
    with pytest.raises(StoreError, match=words), explain_os_errors(tmp_path):
        raise OSError(number, os.strerror(number))


def test_a_store_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StoreError, match="choose another store"), Store(tmp_path / "file" / "store").lock("model", "k"):
        pass


def test_a_file_that_changed_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.lock("model", "k") as lock:
        folder = store.publish("model", "k", build, {}, lock)
    assert store.check("model", "k") == folder
    (folder / "file.txt").write_text("another", encoding="utf-8")
    with pytest.raises(StoreError, match=r"file\.txt changed or gone since it was made; remove the folder to have it made again"):
        store.check("model", "k")


def test_a_link_that_leads_nowhere_is_explained(tmp_path: Path) -> None:
    (tmp_path / "scratch").symlink_to(tmp_path / "unmounted")
    with (
        pytest.raises(StoreError, match="a link that leads nowhere: choose another store"),
        Store(tmp_path / "scratch" / "store").lock("model", "k"),
    ):
        pass


def test_another_place_is_named_as_it_is_chosen(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match="permission to write: choose another folder, then"),
        explain_os_errors(tmp_path, "choose another folder"),
    ):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))


def test_a_file_that_may_not_be_read_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, encoding: str) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(StoreError, match=r"meta\.json can't be read: no permission") as caught:
        read_json(tmp_path / "meta.json")
    assert "remove" not in str(caught.value)


def test_an_artifact_is_removed_whole_and_can_be_made_again(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for _ in range(2):
        with store.lock("model", "k") as lock:
            store.publish("model", "k", build, {}, lock)
        assert store.remove("model", "k")
        assert not list((tmp_path / "models").iterdir())
    assert not store.remove("model", "k")
    assert not list((tmp_path / "locks").iterdir())


def test_a_link_is_not_removed(tmp_path: Path) -> None:
    store, elsewhere = Store(tmp_path / "store"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    store.path("model", "k").parent.mkdir(parents=True)
    store.path("model", "k").symlink_to(elsewhere)
    assert not store.remove("model", "k")
    assert store.path("model", "k").is_dir()


@pytest.mark.parametrize("lock", ["model-k", "writer-k-t", "sessions-k"])
def test_what_somebody_works_on_is_not_removed(tmp_path: Path, lock: str) -> None:
    store = Store(tmp_path)
    store.path("model", "k").mkdir(parents=True)
    path = foreign_lock(tmp_path)
    path = path.rename(path.with_name(f"{lock}.lock"))
    with pytest.raises(HeldError, match=f"{lock}.lock"):
        store.remove("model", "k")
    assert store.path("model", "k").is_dir()
    assert [path.name for path in (tmp_path / "locks").iterdir()] == [f"{lock}.lock"]


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
