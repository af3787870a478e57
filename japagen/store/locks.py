"""Locks: one writer a key at a time, on any file system that several machines share.

A lock is a file that its owner rewrites while it lives; one that stays the same for too long, or whose process or SLURM job is gone, has
lost its owner, and is taken over.
"""

import json
import os
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from japagen.errors import StoreError
from japagen.squeue import AT_WORK, UNKNOWN_JOB

HEARTBEAT_S = 20.0
STALE_S = 180.0
"""A lock whose content hasn't changed for so long, by the observer's own clock, has lost its owner."""
SILENT_S = 86400.0
"""A lock whose file is so old has lost its owner also for those who look once: no two machines' clocks differ by a day."""
SQUEUE_EVERY_S = 15.0
"""How often one who waits for a job of another host asks SLURM about it; the controller is everybody's."""
SQUEUE_TIMEOUT_S = 10.0


class HeldError(StoreError):
    """Somebody else works on the key now."""


@dataclass(frozen=True)
class Held:
    """A file in the store's locks/, as read once."""

    path: Path
    owner: str
    """'process 12 on node3'."""
    is_living: bool
    """Whether its owner may be there still."""


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
        watch, is_announced = LockWatch(self.path), False
        while not self._create():
            if watch.is_free():
                self.is_taken_over |= watch.content != ""
                continue
            if not is_announced:
                say(f"waiting: {_describe_owner(watch.content)} holds {self.path.name}")
                is_announced = True
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
        """Whether its owner is gone, judged by one read that leaves the file as it is; None where there is no file."""
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
        return UNKNOWN_JOB in answer.stderr  # of a job that SLURM has forgotten (MinJobAge)
    return not AT_WORK & set(answer.stdout.split())  # several where the number is also that of its array


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
