"""The store: whole artifacts or none, one writer a key, and clear words for a file system that refuses."""

import errno
import json
import os
import socket
from pathlib import Path
from typing import Any

import psutil
import pytest

from japagen.errors import ConfigError, StoreError
from japagen.store.files import explain_os_errors, read_json
from japagen.store.locks import HeldError
from japagen.store.store import Store
from tests.stubs.lock_owners import foreign_lock


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


def test_who_lost_the_lock_publishes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.lock("model", "k") as lock:
        lock.path.write_text(json.dumps({"host": "elsewhere", "pid": 7, "token": "other"}), encoding="utf-8")
        with pytest.raises(StoreError, match="taken over by process 7 on elsewhere"):
            store.publish("model", "k", build, {}, lock)
    assert store.find("model", "k") is None
    assert lock.path.exists(), "another owner's lock must stay"


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


@pytest.mark.parametrize("path", ["~/store", "~nobody-is-called-so/store"])
def test_a_home_folder_that_is_none_is_named(path: str, homeless: None) -> None:
    with pytest.raises(ConfigError, match=rf"^{path}: ~ is a home folder, and this user has none here; set HOME, or write the whole path$"):
        Store(path)
