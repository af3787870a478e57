"""W&B's server could not be reached from this machine: noted beside the runs, so that no other student waits for it again.

A note belongs to one machine (a login node may reach what a compute node can't) and to one server, and holds for half an hour.
"""

import json
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from japagen.store.files import write_json

HOLDS_S = 1800.0
"""So long a note holds; then the next start asks the server again."""
LONG_S = 10.0
"""A start that fails sooner costs little, and is tried again: its cause may be mended by then."""


@dataclass(frozen=True)
class Outage:
    """The content of a note."""

    server: str
    cause: str
    time: float
    """Seconds since the epoch, by this machine's clock."""

    def describe(self, folder: Path) -> str:
        """The server and the cause, and when it is asked again."""
        failed, again = (time.strftime("%H:%M", time.localtime(moment)) for moment in (self.time, self.time + HOLDS_S))
        asked = f"asked again after {again}, or once {note_path(folder)} is removed"
        return f"{self.server} gave no answer at {failed} ({self.cause}; {asked})"


def note_path(folder: Path) -> Path:
    """The note of this machine in W&B's folder."""
    return folder / f"unreachable-from-{socket.gethostname()}.json"


def note_outage(folder: Path, server: str, cause: str) -> Outage:
    """Leaves a note, and returns it."""
    outage = Outage(server, cause, time.time())
    write_json(note_path(folder), asdict(outage))
    return outage


def find_outage(folder: Path, server: str) -> Outage | None:
    """The note on `server` that still holds; None where there is none."""
    try:
        outage = Outage(**json.loads(note_path(folder).read_text(encoding="utf-8")))
        return outage if outage.server == server and 0 <= time.time() - outage.time < HOLDS_S else None
    except (OSError, ValueError, TypeError):  # none, or one that somebody else writes now
        return None
