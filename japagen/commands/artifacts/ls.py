"""`japagen ls`: what the store holds: sizes, age, and the results and sweeps that need it.

Artifacts that nothing needs are marked, and what killed processes left is named: `japagen gc` removes both. Without STAGE the first few
of each stage are shown.
"""

import json
import os
import re
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from japagen.commands.terminal import add_store_option, make_console, make_parser, open_store, size
from japagen.errors import StoreError, check_choice
from japagen.output import data_output, format_duration
from japagen.store.stages import FOLDERS, STAGES

if TYPE_CHECKING:
    from japagen.commands.artifacts.inventory import Inventory, Item

MOST_OF_A_STAGE = 20
"""Artifacts of a stage shown where no stage is named."""
MOST_SWEEPS = 1
"""Sweeps named beside an artifact, the latest."""
_SHORT = re.compile(r"(?<=[0-9a-f]{8})[0-9a-f]{24}")
"""What is left out of a key in a lock's name."""


def main(arguments: list[str]) -> int:
    """Prints the store's contents; always 0, also for a store that isn't there yet."""
    parser = make_parser("ls", __doc__, "", "models --sort size", "--sweep methods   # what one sweep needs")
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=f"only these: {', '.join(FOLDERS)}")
    parser.add_argument("--sweep", metavar="SWEEP", help="only what this sweep plans or needs; its name, or the beginning of it")
    parser.add_argument(
        "--sort", choices=("age", "size", "key"), default="age", help="newest first (the default), largest first, or by key"
    )
    parser.add_argument("--json", action="store_true", help="everything as JSON, for scripts")
    add_store_option(parser)
    parsed = parser.parse_args(arguments)
    folders = [_folder(stage) for stage in parsed.stages]
    inventory = _open(parsed.store)
    if inventory is None:
        return 0
    items = choose(inventory, folders, parsed.sweep, parsed.sort)
    if parsed.json:
        print(json.dumps(as_json(inventory, items), ensure_ascii=False, indent=1), file=data_output())
    else:
        show(inventory, items, None if folders else MOST_OF_A_STAGE, make_console())
    return 0


def _folder(stage: str) -> str:
    """A stage's folder by its own name, or the stage's."""
    check_choice("STAGE", stage, (*FOLDERS, *STAGES))
    return STAGES[stage].folder if stage in STAGES else stage


def _open(directory: str | None) -> "Inventory | None":
    """None, and says so, where there is no store."""
    from japagen.commands.artifacts.inventory import read_inventory

    try:
        return read_inventory(open_store(directory))
    except StoreError as error:
        print(error)
        return None


def choose(inventory: "Inventory", folders: Sequence[str], sweep: str | None, sort: str) -> list["Item"]:
    """The artifacts asked for, stage by stage. StoreError for a sweep that isn't there."""
    from japagen.sweeps.overview import find_sweep

    items = [*inventory.items.values(), *inventory.incomplete]
    if sweep is not None:
        name = find_sweep(inventory.store, sweep).name
        items = [item for item in items if name in inventory.sweeps_of.get(item.basis, [])]
    keys: dict[str, Callable[[Item], Any]] = {
        "age": lambda item: -made_at(item),
        "size": lambda item: -item.extent.num_bytes,
        "key": lambda item: item.key,
    }
    items = [item for item in items if not folders or STAGES[item.stage].folder in folders]
    return sorted(items, key=lambda item: (FOLDERS.index(STAGES[item.stage].folder), keys[sort](item), item.key))


def made_at(item: "Item") -> float:
    """When it was begun, as its meta.json says, in seconds since the epoch; its newest file's time where nothing says."""
    try:
        return datetime.fromisoformat((item.meta or {})["created"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return item.extent.changed


def show(inventory: "Inventory", items: Sequence["Item"], most: int | None, console: Console) -> None:
    """A table for each stage, at most `most` artifacts in it; then what belongs to no artifact, and the totals."""
    if not items:
        console.print(f"nothing of that in {inventory.store.root}", markup=False, soft_wrap=True)
    for folder in FOLDERS:
        some = [item for item in items if STAGES[item.stage].folder == folder]
        if some:
            console.print(_table(inventory, folder, some[:most]))
            if hidden := some[len(some[:most]) :]:
                console.print(f"{len(hidden)} more, {_size(hidden)}; `japagen ls {folder}` shows them")
            console.print()
    _print_totals(inventory, items, console)


def _table(inventory: "Inventory", folder: str, items: Sequence["Item"]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", title=f"[bold]{folder}[/]", title_justify="left")
    for heading, options in {
        "key": {"no_wrap": True}, "what": {"overflow": "fold", "ratio": 3}, "size": {"justify": "right", "no_wrap": True},
        "age": {"justify": "right", "no_wrap": True}, "needed by": {"overflow": "fold", "ratio": 2}, "": {"no_wrap": True},
    }.items():  # fmt: skip
        table.add_column(heading, **options)  # type: ignore[arg-type]
    for item in items:
        age = format_duration(max(0.0, time.time() - made_at(item)))
        cells = [item.key[:8], summary(inventory, item), size(item.extent.num_bytes), age, users(inventory, item)]
        table.add_row(*(escape(cell) for cell in cells), _marks(inventory, item))
    return table


def summary(inventory: "Inventory", item: "Item") -> str:
    """What the artifact is, in a line; no texts."""
    from japagen.commands.artifacts.inventory import session_costs

    if item.meta is None:
        return "incomplete: it has no meta.json, so nobody reads it"
    if item.result is not None:
        from japagen.reporting.setting_names import format_score

        return f"{item.result.name}: {f'{item.result.metric} {format_score(item.result.primary)}' if item.result.split else 'no gold data'}"
    identity, meta = item.meta["identity"], item.meta
    tasks = ", ".join(sorted(inventory.tasks_of.get(item.basis, ())))
    parts = [tasks] if tasks else []
    if item.stage == "quality":
        parts.append(f"on data set {item.basis[:8]}")
    elif item.stage == "model":
        parts += [str(identity.get("encoder", {}).get("id")), f"{meta.get('num_train')} rows", f"seed {identity.get('seed')}"]
    elif item.stage == "dataset":
        asked = identity.get("num_per_label")
        parts += [f"{meta.get('num_train', 0) + meta.get('num_valid', 0)} rows", *([f"{asked} a label asked for"] if asked else [])]
    else:
        rows, tokens, _ = session_costs(item.extent.path)
        how = identity.get("how", {}).get("answer")
        asked_by = [] if item.stage == "stream" else [STAGES[item.stage].words if how in (None, "attributes") else f"{item.stage} by {how}"]
        prompt = [f"prompt {identity.get('prompt', {}).get('name')}", f"seed {identity.get('seed')}"] if item.stage == "stream" else []
        parts += [*asked_by, str(identity.get("llm", {}).get("id")), *prompt, f"{rows} rows", *([f"{tokens} tokens"] if tokens else [])]
    return ", ".join(parts)


def users(inventory: "Inventory", item: "Item") -> str:
    """'3 results; methods and 2 more'; '' where nothing needs it, and for a result its sweeps only."""
    results, sweeps = inventory.results_of.get(item.basis, []), inventory.sweeps_of.get(item.basis, [])
    named = ", ".join(sweeps[-MOST_SWEEPS:]) + (f" and {len(sweeps) - MOST_SWEEPS} more" if len(sweeps) > MOST_SWEEPS else "")
    counted = f"{len(results)} result{'s' * (len(results) > 1)}" if results and item.stage != "result" else ""
    return "; ".join(filter(None, [counted, named]))


def is_demo(inventory: "Inventory", item: "Item") -> bool:
    """Whether the results that need it all mean nothing: demo models or smoke data take part."""
    found = [result for key in inventory.results_of.get(item.basis, []) if (result := inventory.items[key].result) is not None]
    return bool(found) and all(result.demo for result in found)


def is_needed(inventory: "Inventory", item: "Item") -> bool:
    """Whether a result or a sweep needs it, or it is a result."""
    return item.meta is not None and bool(inventory.results_of.get(item.basis) or inventory.sweeps_of.get(item.basis))


def _marks(inventory: "Inventory", item: "Item") -> str:
    marks = ["demo"] if is_demo(inventory, item) else []
    marks += ["held"] if inventory.is_held(item.key) else []
    return ", ".join([*marks, *([] if is_needed(inventory, item) else ["[yellow]unneeded[/]"])])


def _size(items: Sequence["Item"]) -> str:
    return size(sum(item.extent.num_bytes for item in items))


def _print_totals(inventory: "Inventory", items: Sequence["Item"], console: Console) -> None:
    from japagen.commands.artifacts.inventory import extent_of

    root = inventory.store.root
    by_stage = {folder: [item for item in items if STAGES[item.stage].folder == folder] for folder in FOLDERS}
    facts = {folder: f"{len(some)}, {_size(some)}" for folder, some in by_stage.items() if some}
    facts |= {"all": f"{len(items)}, {_size(items)}"} if len(facts) > 1 else {}
    beside = {"sweeps": root / "sweeps", "people's labels": root / "labels", "logs": root / "logs", "W&B": inventory.store.wandb}
    facts |= {name: size(extent_of(folder).num_bytes) for name, folder in beside.items() if folder.is_dir()}
    work, left = inventory.work.values(), [extent for _, extent in inventory.leftovers]
    facts |= {"half-done work": f"{len(work)}, {size(sum(extent.num_bytes for extent in work))}"} if work else {}
    facts |= (
        {"leftovers": f"{len(left)}, {size(sum(extent.num_bytes for extent in left))}, of processes that were killed or write now"}
        if left
        else {}
    )
    for lock in inventory.locks:
        facts[f"lock {_SHORT.sub('', lock.path.stem)}"] = lock.owner + ("" if lock.is_living else ", which is gone")
    for name, value in facts.items():
        console.print(f"{name + ':':16}{value}", markup=False, soft_wrap=True)
    for fault in inventory.faults:
        console.print(f"[yellow]can't be told:[/] {escape(fault)}", soft_wrap=True)
    if any(not is_needed(inventory, item) for item in items) or left or work:
        console.print("`japagen gc` shows what can be removed")


def as_json(inventory: "Inventory", items: Sequence["Item"]) -> dict[str, Any]:
    """The listing as JSON for scripts: sizes in bytes, times in seconds since the epoch, whole keys."""
    artifacts = [
        {
            "stage": item.stage,
            "key": item.key,
            "what": summary(inventory, item),
            "bytes": item.extent.num_bytes,
            "created": made_at(item),
            "changed": item.extent.changed,
            "results": inventory.results_of.get(item.basis, []),
            "sweeps": inventory.sweeps_of.get(item.basis, []),
            "complete": item.meta is not None,
            "needed": is_needed(inventory, item),
            "demo": is_demo(inventory, item),
        }
        for item in items
    ]
    return {
        "store": os.fspath(inventory.store.root),
        "artifacts": artifacts,
        "work": [{"key": key, "bytes": extent.num_bytes, "changed": extent.changed} for key, extent in inventory.work.items()],
        "leftovers": [{"path": os.fspath(extent.path), "bytes": extent.num_bytes} for _, extent in inventory.leftovers],
        "locks": [{"path": os.fspath(lock.path), "owner": lock.owner, "living": lock.is_living} for lock in inventory.locks],
        "faults": list(inventory.faults),
    }
