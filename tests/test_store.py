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
from japagen.store import Store, explain_os_errors, read_json


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


def test_leftovers_of_killed_writers_are_removed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    leftover = tmp_path / "models" / ".k.0123.tmp"
    leftover.mkdir(parents=True)
    store.remove_leftovers("model", "k")
    assert not leftover.exists()


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
