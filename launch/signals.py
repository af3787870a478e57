"""Being asked to end: USR2 (SLURM, before a time limit or at preemption) and TERM become a KeyboardInterrupt, once."""

import os
import signal
import sys
import threading
from types import FrameType

TIME_IS_UP = "SIGUSR2"
_CLIENT_IS_GONE = "client"
_CAUSES = {
    TIME_IS_UP: "SLURM told it to end (time limit or preemption)",
    "SIGTERM": "it was told to end (SIGTERM)",
    _CLIENT_IS_GONE: "the program that started it is gone",
}
_received: list[str] = []
_client_is_gone = threading.Event()


def listen() -> None:
    """From now on both signals interrupt the main thread as Ctrl-C does, so that servers are stopped and rows are on the disk."""
    for number in (signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, _interrupt)


def end_with_client() -> None:
    """Interrupts this process, as SIGTERM does, once standard input closes: whoever held its other end is gone, however it died."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        _client_is_gone.set()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def received() -> str:
    """The name of the signal that interrupted this process; '' when it was Ctrl-C or none."""
    return _received[0] if _received else ""


def cause() -> str:
    """Why the process was interrupted, in words."""
    return _CAUSES.get(received(), "it was stopped by hand")


def describe_exit(code: int | None) -> str:
    """How a process ended that left no word of its own."""
    if code is not None and code < 0:
        return f"killed by {signal.Signals(-code).name}{': out of memory?' if -code == signal.SIGKILL else ''}"
    return f"exit code {code}"


def _interrupt(number: int, frame: FrameType | None) -> None:
    for other in (signal.SIGTERM, signal.SIGUSR2):
        signal.signal(other, signal.SIG_IGN)  # what follows, putting things away, must not be interrupted again
    if _received:
        return  # Lightning has put this handler back when it ended
    is_client = number == signal.SIGTERM and _client_is_gone.is_set()
    _received.append(_CLIENT_IS_GONE if is_client else signal.Signals(number).name)
    raise KeyboardInterrupt
