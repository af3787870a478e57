"""Offline runs: the command that uploads them, and starts that a later start of the same run replaces."""

import shlex
import sys
from pathlib import Path

INTERRUPTED = "interrupted"
"""Folder beside W&B's own, for starts that were cut off."""
SILENT_S = 60.0
"""W&B writes to a run's file every 15 s; one that hasn't changed for so long has ended."""


def sync_command(folder: Path) -> str | None:
    """The line that uploads the offline runs below `folder` (the one that `track` takes); None where there are none left to upload.

    W&B writes `NAME.wandb.synced` beside a run that it has uploaded, and skips it from then on.
    """
    runs = [run for run in folder.glob("wandb/offline-run-*") if not list(run.glob("*.synced"))]
    return upload_line(folder) if runs else None


def upload_line(folder: Path) -> str:
    """The same, whether or not there are any."""
    program = Path(sys.executable).with_name("wandb")
    return f"{shlex.quote(str(program)) if program.is_file() else 'wandb'} sync {shlex.quote(str(folder / 'wandb'))}/offline-run-*"


def set_aside_interrupted(folder: Path, finished: Path) -> None:
    """Moves earlier starts of the run whose folder is `finished` away from those that `sync_command` uploads.

    All starts have the run's id, and `wandb sync` uploads each from its first line: of two the one that is uploaded last would
    overwrite the other, be it the one that was cut off. The start that finished has the result, all tables and the whole training
    curve (in the table `curve`). A start that somebody still writes to stays.
    """
    run_id = finished.name.rpartition("-")[2]
    for earlier in folder.glob(f"wandb/offline-run-*-{run_id}"):
        if earlier != finished and _last_change(finished) - _last_change(earlier) > SILENT_S:
            (folder / INTERRUPTED).mkdir(exist_ok=True)
            earlier.rename(folder / INTERRUPTED / earlier.name)


def _last_change(run: Path) -> float:
    """Seconds on the file system's clock."""
    return max((path.stat().st_mtime for path in run.glob("*.wandb")), default=0.0)
