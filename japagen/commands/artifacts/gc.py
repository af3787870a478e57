"""`japagen gc`: removes what no result, no sweep and no working process needs; shows only what would go, unless told --yes.

Results stay, with all that they were made from; so does what a sweep plans, done or not (each start of run.py is one: `japagen status
--list`). --forget lets go of a sweep: its folder, the results that no other sweep has, and what only they needed. What an LLM wrote
(streams, answers) is never removed without --streams: it was paid for, and can't be made again alike. All else is made again by the
run.py command that made it. Labels that people wrote (`japagen label-noise`) always stay, and fit their data set when it is made again.
Don't use --streams while a sweep is being started.
"""

import math
import shutil
import time
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from japagen.commands.terminal import add_store_option, make_console, make_parser, open_store, size
from japagen.errors import ConfigError, StoreError
from japagen.output import format_duration, shorten
from japagen.store.files import explain_os_errors
from japagen.store.locks import HeldError, LockWatch
from japagen.store.stages import STAGES
from japagen.store.store import Store

if TYPE_CHECKING:
    from japagen.commands.artifacts.inventory import Inventory, Item
    from japagen.commands.artifacts.removal import Plan, Removal

DAYS = 7.0


def main(arguments: list[str]) -> int:
    """Prints what can go, and with --yes removes it; 0, also for a store that isn't there."""
    parser = make_parser("gc", __doc__, "  # what could go", "--yes", "--forget trial --yes   # the sweep trial too, with its results")
    parser.add_argument("--yes", action="store_true", help="remove it; without this nothing is changed")
    parser.add_argument("--forget", action="append", default=[], metavar="SWEEP", help="let go of this sweep and its results; repeatable")
    parser.add_argument("--streams", action="store_true", help="also what an LLM wrote and nothing needs any more")
    spare = f"spare what is younger, as a run may be about to use it (default: {DAYS:g})"
    parser.add_argument("--older-than", type=float, default=DAYS, metavar="DAYS", help=spare)
    add_store_option(parser)
    parsed = parser.parse_args(arguments)
    if not 0 <= parsed.older_than < math.inf:
        raise ConfigError(f"--older-than {parsed.older_than:g} is no age; allowed: 0 days or more")
    try:
        store = open_store(parsed.store)
    except StoreError as error:
        print(error)
        return 0
    inventory, plan = make_plan(store, parsed.forget, parsed.streams, parsed.older_than)
    console = make_console()
    show(inventory, plan, parsed.older_than, console)
    if not plan.removals:
        console.print(f"nothing to remove in {store.root}", markup=False, soft_wrap=True)
    elif parsed.yes:
        carry_out(inventory, plan, lambda line: console.print(line, markup=False, soft_wrap=True))
    else:
        console.print("nothing was removed; the same command with --yes does it")
    return 0


def make_plan(store: Store, forgotten: Sequence[str], streams: bool, older_than_days: float) -> tuple["Inventory", "Plan"]:
    """What may go; StoreError where the store can't be read as a whole, or a sweep to forget isn't there or isn't over."""
    from japagen.commands.artifacts.inventory import read_inventory
    from japagen.commands.artifacts.removal import plan_removal

    names = list(dict.fromkeys(_find_over(store, name) for name in forgotten))
    inventory = read_inventory(store)
    if inventory.faults:
        raise StoreError(
            "; ".join(inventory.faults) + ". Nothing is removed, since what this needs isn't known: see to it, or remove its folder, first"
        )
    return inventory, plan_removal(inventory, names, streams, older_than_days, time.time())


def _find_over(store: Store, name: str) -> str:
    """The sweep's whole name. It must be spelt out: what goes is gone."""
    from japagen.errors import nearest
    from japagen.squeue import queue_states
    from japagen.sweeps.folder import RUNNING, WAITING, sweep_folders
    from japagen.sweeps.overview import job_ids, read_overview

    folders = {folder.name: folder for folder in sweep_folders(store)}
    if name not in folders:
        there = f"its sweeps: {shorten([*folders][::-1])}" if folders else "it has none"
        raise StoreError(f"no sweep of {store.root} is called {name!r}{nearest(name, folders)}; {there}")
    rows = read_overview(folders[name], queue_states(job_ids(folders[name]))).rows
    if going := [row.unit.id for row in rows if row.state == RUNNING or (row.state == WAITING and row.queue is not None)]:
        how = "Ctrl-C where it was started, or scancel"
        raise StoreError(f"the sweep {name} is still going on ({shorten(going)}); stop it before it is forgotten: {how}")
    return name


def show(inventory: "Inventory", plan: "Plan", older_than_days: float, console: Console) -> None:
    """What goes and why, what it frees, and what stays although nothing needs it."""
    if plan.removals:
        console.print(_table(inventory, plan.removals))
        console.print(f"{len(plan.removals)} in all, {size(sum(removal.extent.num_bytes for removal in plan.removals))}\n")
    for who in plan.unknown:
        console.print(f"[yellow]{escape(who)}[/], and no sweep says what that needs: no artifact goes before it is done", soft_wrap=True)
    if plan.paid:
        console.print(f"nothing needs, but --streams only removes: {_costs(plan.paid)}", markup=False, soft_wrap=True)
    if plan.young:
        freed = size(sum(item.extent.num_bytes for item in plan.young))
        limit = f"{older_than_days:g} day{'s' * (older_than_days != 1)}"
        console.print(f"spared: {len(plan.young)} artifact(s), {freed}, younger than {limit} or needed by such (--older-than)")


def _costs(items: Sequence["Item"]) -> str:
    """'2 stream(s) or sets of answers, 5.0 MB, which took an LLM 1.5 h (4000 rows, 80000 tokens)'."""
    from japagen.commands.artifacts.inventory import session_costs

    rows, tokens, seconds = (sum(column) for column in zip(*(session_costs(item.extent.path) for item in items), strict=True))
    freed = size(sum(item.extent.num_bytes for item in items))
    return (
        f"{len(items)} stream(s) or sets of answers, {freed}, which took an LLM {format_duration(seconds)} ({rows} rows, {tokens} tokens)"
    )


def _table(inventory: "Inventory", removals: Sequence["Removal"]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading, options in {"what": {"no_wrap": True}, "size": {"justify": "right", "no_wrap": True}, "": {}, "why": {}}.items():
        table.add_column(heading, overflow="fold", **options)  # type: ignore[arg-type]
    for removal in removals:
        table.add_row(*(escape(cell) for cell in (removal.name, size(removal.extent.num_bytes), _about(inventory, removal), removal.why)))
    return table


def _about(inventory: "Inventory", removal: "Removal") -> str:
    """What it is; for what an LLM wrote also the time that it took."""
    from japagen.commands.artifacts.inventory import session_costs
    from japagen.commands.artifacts.ls import summary

    item = inventory.items.get(removal.key)
    if item is None or item.stage != removal.kind:
        return ""
    seconds = session_costs(item.extent.path)[2] if STAGES[item.stage].by_llm else 0.0
    return summary(inventory, item) + (f", {format_duration(seconds)} of an LLM" if seconds else "")


def carry_out(inventory: "Inventory", plan: "Plan", say: Callable[[str], None]) -> None:
    """Removes what is planned, in its order. Whatever is held by now stays, with all that it needs."""
    from japagen.commands.artifacts.removal import SWEEP

    num, freed = 0, 0
    needed: set[str] = set()
    for removal in plan.removals:
        if removal.key in needed or (removal.kind == SWEEP and needed):
            say(f"{removal.name} stays: it is needed by what stays")
            continue
        try:
            is_gone = _remove(inventory.store, removal)
        except HeldError as error:
            say(f"{removal.name} stays: {error}")
            needed |= inventory.reachable([removal.key]) | {removal.key}
            continue
        if not is_gone and removal.extent.path.exists():
            say(f"{removal.name} stays: {removal.extent.path} can't be removed")
        num, freed = num + is_gone, freed + removal.extent.num_bytes * is_gone
    say(f"removed {num}, {size(freed)}")


def _remove(store: Store, removal: "Removal") -> bool:
    """Whether it is gone, by us; HeldError where somebody works on its key now."""
    from japagen.commands.artifacts.removal import LEFTOVER, LOCK, SWEEP, WORK
    from japagen.synthesis import claims

    path = removal.extent.path
    if removal.kind == LEFTOVER and path.name == claims.FOLDER:
        return claims.remove_void(store, removal.key)
    if removal.kind == LOCK:
        return LockWatch(path).remove_lost()
    if removal.kind == SWEEP:
        return _remove_sweep(store, removal.key)
    if removal.kind == WORK:
        with store.lock_now("model", removal.key):
            store.remove_work(removal.key)
    elif removal.kind == LEFTOVER and removal.key:
        stage = next(name for name, stage in STAGES.items() if stage.folder == path.parent.name)
        with store.lock_now(stage, removal.key):
            shutil.rmtree(path, ignore_errors=True)
    elif removal.kind == LEFTOVER:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    else:
        return store.remove(removal.kind, removal.key)
    return not path.exists()


def _remove_sweep(store: Store, name: str) -> bool:
    """In one step: half of a folder, without its plan or its units, is never taken for a sweep."""
    path, aside = store.root / "sweeps" / name, store.root / f".sweep-{name}.{uuid.uuid4().hex[:8]}.tmp"
    with explain_os_errors(path):
        path.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)
    return True
