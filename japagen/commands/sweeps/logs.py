"""`japagen logs`: what a unit of a sweep wrote, found by its id, its SLURM job, or the beginning of its experiment's name."""

import sys
import time
from codecs import getincrementaldecoder
from collections.abc import Callable
from pathlib import Path

from japagen.commands.sweeps.status import QueueReader
from japagen.commands.terminal import add_store_option, make_parser, open_store
from japagen.errors import StoreError, nearest
from japagen.output import shorten
from japagen.store.store import Store
from japagen.sweeps.folder import LLM, RUNNING, WAITING, SweepFolder, sweep_folders
from japagen.sweeps.overview import Overview, UnitRow, find_sweep, find_units, job_ids, read_overview

DEFAULT_LINES = 50
LOOK_S = 0.5
"""Seconds between two looks at a log that is followed."""
_BLOCK = 1 << 16


def main(arguments: list[str]) -> int:
    """Prints the log's path and its end; with -f also what comes, until the unit ends."""
    parser = make_parser("logs", __doc__, "student-0007", "jnli-japagen-0-shot -f")
    parser.add_argument("job", metavar="JOB", help="student-0007, a SLURM job such as 123_4, or the beginning of an experiment's name")
    parser.add_argument("--sweep", metavar="SWEEP", help="a sweep's name or its beginning; the latest, if none is given")
    parser.add_argument(
        "-n", type=int, default=DEFAULT_LINES, metavar="LINES", help=f"lines from the end (default {DEFAULT_LINES}; 0: all)"
    )
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the unit ends")
    add_store_option(parser)
    parsed = parser.parse_args(arguments)
    if parsed.n < 0:
        parser.error(f"-n {parsed.n}: allowed are whole numbers from 0")
    store, reader = open_store(parsed.store), QueueReader()
    folder, row = find_unit(store, parsed.sweep, parsed.job, reader)

    def look() -> UnitRow:
        rows = read_overview(folder, reader.read(job_ids(folder))).rows
        return next(current for current in rows if current.unit.id == row.unit.id)

    print(f"log of {row.unit.id} ({row.unit.name}; {row.state}): {row.log}", flush=True)
    for path in server_logs(store, row):
        print(f"log of its vLLM server: {path}", flush=True)
    if not row.log.is_file() and not parsed.follow:
        raise StoreError(f"{row.unit.id} ({row.state}) has no log{': ' + row.cause if row.cause else ', it has not begun'}")
    log = LogReader(row.log, start_of_last(row.log, parsed.n))
    log.print_new()
    if parsed.follow:
        follow(log, look)
    return 0


def find_unit(store: Store, sweep: str | None, name: str, reader: QueueReader) -> tuple[SweepFolder, UnitRow]:
    """The one unit that `name` means; StoreError, with the nearest, where there is none, or several with logs of their own.

    Without `sweep` the latest is looked at, and for the number of a SLURM job the earlier ones too.
    """
    folder = find_sweep(store, sweep)
    folders = [folder]
    if sweep is None and name[:1].isdigit():
        folders += sweep_folders(store)[-2::-1]
    for folder in folders:
        overview = read_overview(folder, reader.read(job_ids(folder)))
        found = find_units(overview, name)
        if found and len({row.log for row in found}) == 1:
            return folder, found[0]
        if found:
            listed = shorten([f"{row.unit.id} ({row.unit.name})" for row in found])
            raise StoreError(f"{name!r} means {len(found)} units of sweep {folder.name}: {listed}; name one by its id")
    raise StoreError(_unknown(read_overview(folders[0], None), name))


def _unknown(overview: Overview, name: str) -> str:
    names = [name for row in overview.rows for name in (row.unit.id, row.unit.name, row.job) if name]
    others = "name another sweep by --sweep; `japagen status --list` shows them"
    ids = shorten([row.unit.id for row in overview.rows]) or "none, since all that it needs was there"
    return f"sweep {overview.folder.name} has no unit {name!r}{nearest(name, names)}; units: {ids}; {others}"


def server_logs(store: Store, row: UnitRow) -> list[Path]:
    """Logs of the vLLM servers that an LLM unit's latest start ran; their names hold its process's number (japagen.llm.server)."""
    kept = row.kept
    if row.unit.kind != LLM or kept.started is None:
        return []
    found = (store.root / "logs").glob(f"vllm-*-*-{kept.pid}-*.log")
    return sorted(path for path in found if path.stat().st_mtime >= kept.started)


class LogReader:
    """Prints a log from byte `position` on, as far as it is there; again and again while it grows."""

    def __init__(self, path: Path, position: int = 0) -> None:
        self.path, self.position = path, position
        self._decoder = getincrementaldecoder("utf-8")("replace")  # the file may end within a character

    def print_new(self) -> None:
        """Everything behind `position`; from the beginning where the file was begun anew (a job's second start may do so)."""
        try:
            with self.path.open("rb") as file:
                if file.seek(0, 2) < self.position:
                    self.position = 0
                file.seek(self.position)
                while block := file.read(_BLOCK):
                    self.position += len(block)
                    sys.stdout.write(self._decoder.decode(block))
        except FileNotFoundError:
            return
        sys.stdout.flush()


def start_of_last(path: Path, num_lines: int) -> int:
    """The byte where the last `num_lines` lines begin (0: all); 0 where there is no file. Read from its end: size doesn't matter."""
    if num_lines == 0 or not path.is_file():
        return 0
    missing = num_lines
    with path.open("rb") as file:
        start = end = file.seek(0, 2)
        while start > 0:
            size = min(_BLOCK, start)
            start -= size
            file.seek(start)
            block = file.read(size)
            cut = size - 1 if start + size == end and block.endswith(b"\n") else size  # the last line's own end begins no line
            while (cut := block.rfind(b"\n", 0, cut)) >= 0:
                missing -= 1
                if missing == 0:
                    return start + cut + 1
    return 0


def follow(reader: LogReader, look: Callable[[], UnitRow]) -> None:
    """Prints what comes until the unit has ended, then its state and cause."""
    while (row := look()).state in (WAITING, RUNNING):
        if row.log != reader.path:
            reader = LogReader(row.log)
            print(f"log of {row.unit.id}: {row.log}", flush=True)
        reader.print_new()
        time.sleep(LOOK_S)
    reader.print_new()
    print(f"{row.unit.id}: {row.state}{': ' + row.cause if row.cause else ''}", flush=True)
