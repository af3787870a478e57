"""`japagen status`: how far a sweep is: units by state, what failed and why, what waits for what, how long the rest takes.

Exit code 0: all done; 1: over, and something failed, was stopped or was lost; 2: still going on.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from japagen.commands.terminal import add_store_option, make_console, make_parser, open_store
from japagen.output import format_duration, shorten
from japagen.squeue import accounting_states, queue_states
from japagen.store.store import Store
from japagen.sweeps.folder import DONE, FAILED, RUNNING, UNFINISHED, WAITING, SweepFolder, sweep_folders
from japagen.sweeps.overview import (
    LOST,
    STAGES,
    STATES,
    Overview,
    Queue,
    Texts,
    UnitRow,
    find_sweep,
    job_ids,
    read_overview,
    with_ends,
)

REDRAW_S = 2.0
QUEUE_S = 10.0
"""SLURM's queue is asked at most so often."""
MOST_QUIET = 20
"""Units that wait or are done shown without --all."""
WIDE = 140
"""From so many characters a line on each unit has one line; on narrower screens its details are below its name."""
_STYLES = {FAILED: "bold red", LOST: "bold red", UNFINISHED: "yellow", RUNNING: "cyan", WAITING: "", DONE: "green"}


def main(arguments: list[str]) -> int:
    """Prints one sweep's state, or a line for each sweep."""
    parser = make_parser("status", __doc__, "--watch", "paper --all")
    parser.add_argument("sweep", nargs="?", metavar="SWEEP", help="a sweep's name or its beginning; the latest, if none is given")
    parser.add_argument("--list", action="store_true", help="all sweeps, a line each")
    parser.add_argument("--watch", action="store_true", help=f"redraw every {REDRAW_S:.0f} s until all is over")
    parser.add_argument("--all", action="store_true", help=f"show all units, not only {MOST_QUIET} of those that wait or are done")
    add_store_option(parser)
    parsed = parser.parse_args(arguments)
    store, console = open_store(parsed.store), make_console()
    if parsed.list:
        return list_sweeps(store, console)
    folder, reader = find_sweep(store, parsed.sweep), QueueReader()
    if parsed.watch:
        return watch(folder, reader, console, parsed.all)
    return show(read_overview(folder, reader.read(job_ids(folder))), console, parsed.all)


def show(overview: Overview, console: Console, show_all: bool) -> int:
    """Prints the whole picture; the sweep's exit code."""
    lost = [row.job for row in overview.rows if row.state == LOST and row.job]
    overview = with_ends(overview, accounting_states(lost))
    console.print(draw(overview, console.width, len(overview.rows) if show_all else MOST_QUIET))
    return overview.exit_code


class QueueReader:
    """SLURM's queue, asked at most every QUEUE_S unless there are jobs it wasn't asked about."""

    def __init__(self, ask: Callable[[Iterable[str]], Queue] = queue_states) -> None:
        self._ask = ask
        self._jobs: set[str] = set()
        self._queue: Queue = {}
        self._asked_at = float("-inf")

    def read(self, jobs: set[str]) -> Queue:
        if not jobs <= self._jobs or time.monotonic() - self._asked_at > QUEUE_S:
            self._jobs, self._queue, self._asked_at = jobs, self._ask(jobs), time.monotonic()
        return self._queue


def list_sweeps(store: Store, console: Console) -> int:
    """A line for each sweep, the latest last; always 0."""
    folders = sweep_folders(store)
    queue = queue_states(set[str]().union(*(job_ids(folder) for folder in folders)))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("sweep", "planned", "experiments", *STAGES.values()):
        table.add_column(heading, overflow="fold")
    for folder in folders:
        overview = read_overview(folder, queue)
        counts = [format_counts(overview, kind) for kind in STAGES]
        table.add_row(escape(folder.name), _planned(overview), str(overview.num_experiments), *counts)
    console.print(table if folders else f"no sweep yet in {escape(str(store.root))}")
    return 0


def watch(folder: SweepFolder, reader: QueueReader, console: Console, show_all: bool) -> int:
    """Redraws until the sweep is over, or Ctrl-C; without a terminal a line for each change, and the whole in the end."""
    overview = read_overview(folder, reader.read(job_ids(folder)))
    printed = ""
    try:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            while not overview.is_over:
                if console.is_terminal:
                    live.update(draw_brief(overview, console.width, console.height), refresh=True)
                elif (line := _line(overview)) != printed:
                    console.print(printed := line)
                time.sleep(REDRAW_S)
                overview = read_overview(folder, reader.read(job_ids(folder)))
    except KeyboardInterrupt:
        pass  # the last picture stays below
    return show(overview, console, show_all)


def _line(overview: Overview) -> str:
    return "; ".join(f"{stage}: {counts}" for kind, stage in STAGES.items() if (counts := format_counts(overview, kind)))


def draw(overview: Overview, width: int, most_quiet: int) -> RenderableType:
    """Everything for a screen `width` characters wide, with at most `most_quiet` units that wait or are done."""
    ordered = sorted(overview.rows, key=lambda row: STATES.index(row.state))
    loud = [row for row in ordered if row.state not in (WAITING, DONE)]
    quiet = ordered[len(loud) :]
    parts: list[RenderableType] = [*_head(overview), ""]
    if shown := loud + quiet[:most_quiet]:
        parts += [_table(overview, shown, width), ""]
    if hidden := quiet[most_quiet:]:
        parts.append(Text(f"{_hidden(hidden)}; --all shows them"))
    parts += [Text.from_markup(line) for line in _causes(loud)]
    if loud:
        parts.append(Text(f"log: japagen logs {loud[0].unit.id} --sweep {overview.folder.name}"))
    return Group(*parts)


def draw_brief(overview: Overview, width: int, height: int) -> RenderableType:
    """What fits on a screen: a line a unit, those that run first."""
    order = (RUNNING, *(state for state in STATES if state != RUNNING))
    ordered = sorted(overview.rows, key=lambda row: order.index(row.state))
    head = _head(overview)
    num = max(1, height - len(head) - 7)  # a long folder's second line, blank lines, headings, what is hidden, the hint
    parts: list[RenderableType] = [*head, "", _brief_table(overview, ordered[:num], width), ""]
    if hidden := ordered[num:]:
        parts.append(Text(_hidden(hidden)))
    return Group(*parts, Text("Ctrl-C ends watching, not the sweep", style="dim"))


def _head(overview: Overview) -> list[Text]:
    about = f"{overview.num_experiments} experiment(s), planned {_planned(overview)}"
    head = [Text.from_markup(f"[bold]{escape(overview.folder.name)}[/], {about}"), Text(f"folder: {overview.folder.root}", overflow="fold")]
    for kind, stage in STAGES.items():
        if counts := format_counts(overview, kind):
            head.append(Text.from_markup(f"{stage + ':':12}{counts}"))
    return head if len(head) > 2 else [*head, Text("nothing was left to do: the store had every result")]


def _hidden(rows: Sequence[UnitRow]) -> str:
    counts = Counter(row.state for row in rows)
    return f"{len(rows)} more not shown ({', '.join(f'{counts[state]} {state}' for state in STATES if counts[state])})"


def format_counts(overview: Overview, kind: str) -> str:
    """'2 failed, 30 done', as markup; '' for a stage without units."""
    counts = overview.counts(kind)
    return ", ".join(_styled(f"{counts[state]} {state}", state) for state in STATES if counts[state])


def _styled(text: str, state: str) -> str:
    style = _STYLES[state]
    return f"[{style}]{text}[/]" if style else text


def _table(overview: Overview, rows: Sequence[UnitRow], width: int) -> Table:
    """The table without empty columns; on a narrow screen most details are below the name."""
    cells = [_cells(overview, row) for row in rows]
    headings = [name for name in cells[0] if any(texts[name] for texts in cells)]
    beside = headings if width >= WIDE else [name for name in headings if name == "took"]
    table = _empty_table("unit", "state")
    for name in ("name", *beside):
        table.add_column(name, no_wrap=name not in _RATIOS, overflow="fold", ratio=_RATIOS.get(name))
    for row, texts in zip(rows, cells, strict=True):
        below = "" if row.state == DONE or width >= WIDE else _below(texts)
        table.add_row(row.unit.id, _state(row), escape(row.unit.name) + below, *(escape(texts[name]) for name in beside))
    return table


def _brief_table(overview: Overview, rows: Sequence[UnitRow], width: int) -> Table:
    """One line a unit; names are cut in their middle, since seeds are at their ends."""
    cells = [_cells(overview, row) for row in rows]
    beside = [name for name in (("job", "host", "took") if width >= WIDE else ("took",)) if any(texts[name] for texts in cells)]
    taken = sum(2 + max(len(name), *(len(texts[name]) for texts in cells)) for name in beside)
    room = width - taken - max(len(row.unit.id) for row in rows) - max(len(row.state) for row in rows) - 6
    table = _empty_table("unit", "state", "name", *beside)
    for row, texts in zip(rows, cells, strict=True):
        text = row.unit.name if len(row.unit.name) <= room else f"{row.unit.name[: room // 2 - 1]}…{row.unit.name[-(room // 2 - 1) :]}"
        if about := texts["texts"] or texts["cause"]:
            text = f"{about}; {row.unit.name}"[:room]
        table.add_row(row.unit.id, _styled(row.state, row.state), escape(text), *(escape(texts[name]) for name in beside))
    return table


def _empty_table(*headings: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    return table


_RATIOS = {"name": 4, "cause": 3, "log": 2}
"""Columns that share what the others leave of a line."""


def _cells(overview: Overview, row: UnitRow) -> dict[str, str]:
    """Heading -> text, '' for no value."""
    kept, has_begun = row.kept, row.state != WAITING
    took = row.took_s(time.time()) if has_begun else None
    return {
        "job": row.job or "",
        "host": kept.host if has_begun else "",
        "starts": str(kept.attempts) if kept.attempts > 1 else "",
        "texts": _texts(row.texts, row.state),
        "started": _clock(kept.started) if has_begun else "",
        "took": "" if took is None else format_duration(took),
        "cause": _short_cause(row),
        "log": _log(overview, row),
    }


def _below(cells: Mapping[str, str]) -> str:
    """The details under a name on a narrow screen; causes are in full below the table."""
    job = f"job {cells['job']}" if cells["job"] else ""
    host = f"on {cells['host']}" if cells["host"] else ""
    started = f"started {cells['started']}" if cells["started"] else ""
    starts = f"{cells['starts']} starts" if cells["starts"] else ""
    lines = [cells["texts"], ", ".join(filter(None, [" ".join(filter(None, [job, host])), started, starts])), cells["log"]]
    return "".join(f"\n[dim]{escape(line)}[/]" for line in lines if line)


def _state(row: UnitRow) -> str:
    """The state; for a unit that waits for its job also SLURM's state."""
    text = _styled(row.state, row.state)
    return text if row.queue is None else f"{text}\n[dim]{escape(row.queue[0])}[/]\n[dim]{escape(row.queue[1])}[/]"


def _texts(texts: Texts | None, state: str) -> str:
    if texts is None:
        return ""
    done = f"{texts.accepted} of {texts.wanted} texts"
    if state != RUNNING:
        return done
    left = f", {format_duration(texts.left_s)} left" if texts.left_s else ""
    return f"{done}, {texts.rows_per_s:.1f} rows/s{left}"


def _short_cause(row: UnitRow) -> str:
    """The first 60 characters; the whole is below the table."""
    first = row.cause.partition("\n")[0]
    return first if len(first) <= 60 else f"{first[:59]}…"


def _log(overview: Overview, row: UnitRow) -> str:
    """Relative to the sweep's folder where it lies there; nothing where there is none yet."""
    if not row.log.is_file():
        return ""
    return str(row.log.relative_to(overview.folder.root) if row.log.is_relative_to(overview.folder.root) else row.log)


def _causes(rows: Sequence[UnitRow]) -> list[str]:
    """Each cause once, in full, with the units that have it."""
    units: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.cause:
            units.setdefault((row.state, row.cause), []).append(row.unit.id)
    return [f"{_styled(state, state)} {shorten(ids)}: {escape(cause)}" for (state, cause), ids in units.items()]


def _planned(overview: Overview) -> str:
    return _clock(datetime.fromisoformat(overview.created).timestamp())


def _clock(seconds: float | None) -> str:
    """'14:05', or with its day where that isn't today; this machine's time."""
    if seconds is None:
        return ""
    moment = datetime.fromtimestamp(seconds)
    return moment.strftime("%H:%M" if moment.date() == datetime.now().date() else "%m-%d %H:%M")
