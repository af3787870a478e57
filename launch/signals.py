"""Being asked to end: USR2 (SLURM, before a time limit or at preemption) and TERM become a KeyboardInterrupt, once."""

import signal
from types import FrameType

TIME_IS_UP = "SIGUSR2"
_CAUSES = {TIME_IS_UP: "SLURM said that its time is up", "SIGTERM": "it was told to end (SIGTERM)"}
_received: list[str] = []


def listen() -> None:
    """From now on both signals interrupt the main thread as Ctrl-C does, so that servers are stopped and rows are on the disk."""
    for number in (signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, _interrupt)


def received() -> str:
    """The name of the signal that interrupted this process; '' when it was Ctrl-C or none."""
    return _received[0] if _received else ""


def cause() -> str:
    """Why the process was interrupted, in words."""
    return _CAUSES.get(received(), "it was stopped by hand")


def _interrupt(number: int, frame: FrameType | None) -> None:
    for other in (signal.SIGTERM, signal.SIGUSR2):
        signal.signal(other, signal.SIG_IGN)  # what follows, putting things away, must not be interrupted again
    _received.append(signal.Signals(number).name)
    raise KeyboardInterrupt
