"""A process between us and vLLM that makes sure that nothing of vLLM outlives us.

    python -IS keeper.py PARENT_PID COMMAND…

vLLM is a tree of processes (API server, EngineCore, workers), and a SIGKILL of the API server leaves the rest alive and
holding the GPU (vllm-project/vllm#55510); SIGTERM during warm-up can orphan workers (#44751). The keeper runs in a session
of its own, so that no Ctrl-C reaches it. It is a child subreaper: every process below it that loses its parent becomes its
child, so the whole tree can be found. It ends the tree (TERM, wait, KILL) and itself when its stdin, a pipe that its parent
holds, reaches end of file or its parent is gone (also after SIGKILL); on SIGTERM, SIGINT or SIGHUP; or when COMMAND exits.
Standard library only, and no import of japagen: it must start at once, from any working directory.
Exit status: COMMAND's, or 128 + signal.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

GRACE_S = 10.0
"""From SIGTERM to SIGKILL."""
KILL_WAIT_S = 10.0
"""After SIGKILL; what is stuck in the kernel by then is left to it."""
POLL_S = 1.0
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value})")


def descendants() -> list[int]:
    """Process ids below this process, from one pass over /proc: one that changes parents meanwhile may be missing."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it ended meanwhile
            # pid (name) state ppid …: the name may hold spaces and brackets
            parent = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1]
            children.setdefault(int(parent), []).append(int(folder.name))
    found = [os.getpid()]
    for pid in found:
        found.extend(children.get(pid, []))
    return found[1:]


class Keeper:
    """Starts the command, waits for a reason to end, ends everything below."""

    def __init__(self, parent: int, command: list[str]) -> None:
        self._parent = parent
        self._stopping = False
        self._status: int | None = None
        self._wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        os.set_blocking(self._wake_read, False)
        signal.set_wakeup_fd(wake_write)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        # SIGTERM for vLLM should even the keeper be killed: it then ends its EngineCore in order.
        self._child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=lambda: _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        )

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _reap(self) -> bool:
        """Collects ended children, ours and adopted, and notes the command's status; whether any child is left.

        A subreaper without children has no descendants either.
        """
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._child.pid:
                code = os.waitstatus_to_exitcode(status)
                self._status = code if code >= 0 else 128 - code

    def _wait(self, seconds: float, stdin: bool) -> None:
        """Until a signal, `seconds`, or (where `stdin`) the parent's end of file."""
        ready = select.select([self._wake_read, *([0] if stdin else [])], [], [], seconds)[0]
        if self._wake_read in ready:
            os.read(self._wake_read, 4096)
        if 0 in ready and not os.read(0, 4096):
            self._stopping = True

    def run(self) -> int:
        while not self._stopping and self._status is None:
            self._wait(POLL_S, stdin=True)
            self._reap()
            # A forked copy of the parent may still hold the pipe.
            self._stopping = self._stopping or os.getppid() != self._parent
        self._end_all()
        return 0 if self._status is None else self._status

    def _end_all(self) -> None:
        start = time.monotonic()
        signalled: set[int] = set()
        while self._reap() and (waited := time.monotonic() - start) < GRACE_S + KILL_WAIT_S:
            for pid in descendants():
                with contextlib.suppress(ProcessLookupError):
                    if waited >= GRACE_S:
                        os.kill(pid, signal.SIGKILL)
                    elif pid not in signalled:
                        signalled.add(pid)
                        os.kill(pid, signal.SIGTERM)
            self._wait(0.1, stdin=False)


if __name__ == "__main__":
    sys.exit(Keeper(int(sys.argv[1]), sys.argv[2:]).run())
