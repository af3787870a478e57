"""What of a store may go, and why: nothing that a kept result, a sweep or a working process needs.

In: an Inventory and what the user let go of. Out: a Plan, in an order in which a removal that is killed midway leaves nothing without
its inputs. `japagen gc` prints and carries it out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from japagen.commands.artifacts.inventory import Extent, Inventory, Item, extent_of
from japagen.store.stages import STAGES

DAY_S = 86400.0
ORDER = tuple(sorted(STAGES, key=lambda name: -STAGES[name].order))
"""What uses others goes before them."""
LOCK, LEFTOVER, WORK, SWEEP = "lock", "leftover", "work", "sweep"


@dataclass(frozen=True)
class Removal:
    """One thing that may go."""

    kind: str
    """A stage, or LOCK, LEFTOVER, WORK, SWEEP."""
    key: str
    """'' for files of locks/; a sweep's name."""
    extent: Extent
    why: str

    @property
    def name(self) -> str:
        """'data set 877001d0'."""
        words = STAGES[self.kind].words if self.kind in STAGES else self.kind
        return f"{words} {self.key if self.kind == SWEEP else self.key[:8] or self.extent.path.name}"


@dataclass(frozen=True)
class Plan:
    """What goes, in this order, and what stays although nothing needs it."""

    removals: tuple[Removal, ...]
    paid: tuple[Item, ...]
    """What an LLM wrote, which goes only by --streams."""
    young: tuple[Item, ...]
    """What may be part of something that somebody does just now."""
    unknown: tuple[str, ...]
    """Who makes something of which no sweep says what it needs; while they do, no artifact goes."""


def plan_removal(inventory: Inventory, forgotten: Sequence[str], streams: bool, older_than_days: float, now: float) -> Plan:
    """What may go when the sweeps `forgotten` count no more.

    streams: whether what an LLM was paid for may go. older_than_days: what nothing needs stays while it is younger. now: seconds since
    the epoch.
    """
    oldest = now - older_than_days * DAY_S
    let_go = _let_go(inventory, forgotten)
    needed = _needed(inventory, forgotten, let_go)
    unneeded = [item for item in inventory.items.values() if item.key not in needed and not item.extent.path.is_symlink()]
    fresh = [item.key for item in unneeded if item.extent.changed > oldest and not _is_let_go(item, let_go)]
    spared = _with_reports(inventory, inventory.reachable(fresh) | needed) - needed
    unknown = tuple(f"{owner} works on {key[:8]}" for key, owner in inventory.held.items() if not _is_known(inventory, key))
    free = [item for item in unneeded if item.key not in spared and (streams or not STAGES[item.stage].by_llm)]
    was_needed = _needed(inventory, (), set()) if forgotten else set()
    removals = [Removal(item.stage, item.key, item.extent, _why(item, was_needed)) for item in free]
    removals += [_incomplete(item) for item in inventory.incomplete if _may_go(item, inventory, let_go, oldest, streams)]
    removals.sort(key=lambda removal: ORDER.index(removal.kind))
    sweeps = [Removal(SWEEP, name, extent_of(inventory.store.root / "sweeps" / name), "to be forgotten") for name in forgotten]
    paid = tuple(item for item in unneeded if STAGES[item.stage].by_llm and item.key not in spared and not streams)
    young = tuple(item for item in unneeded if item.key in spared)
    loose = [*_loose(inventory), *_old_work(inventory, let_go, oldest)]
    return Plan((*loose, *([] if unknown else [*removals, *sweeps])), paid, young, unknown)


def _let_go(inventory: Inventory, forgotten: Sequence[str]) -> set[str]:
    """Keys that only forgotten sweeps planned, and that nobody works on."""
    planned = {True: set[str](), False: set[str]()}
    for name, experiments in inventory.sweeps.items():
        for experiment in experiments:
            is_at_work = any(inventory.is_held(key) for key in experiment.keys.values())
            planned[name in forgotten and not is_at_work].update(experiment.keys.values())
    return planned[True] - planned[False]


def _needed(inventory: Inventory, forgotten: Sequence[str], let_go: set[str]) -> set[str]:
    """What results, sweeps and working processes need, and the reports on it."""
    roots = {item.key for item in inventory.items.values() if item.stage == "result" and item.key not in let_go}
    for name, experiments in inventory.sweeps.items():
        for experiment in experiments:
            if name not in forgotten or any(inventory.is_held(key) for key in experiment.keys.values()):
                roots |= set(experiment.keys.values())
    return _with_reports(inventory, inventory.reachable(roots | set(inventory.held)))


def _with_reports(inventory: Inventory, keys: set[str]) -> set[str]:
    """With the quality reports whose data sets and students all stay, as far as they are there; nothing else needs a report."""
    reports = [item for item in inventory.items.values() if item.stage == "quality" and item.basis in keys]
    return keys | {item.key for item in reports if all(key in keys for key in item.inputs if key in inventory.items)}


def _is_let_go(item: Item, let_go: set[str]) -> bool:
    """Whether it was planned by forgotten sweeps only, or is a report on something that was."""
    return item.key in let_go or (item.stage == "quality" and not let_go.isdisjoint(item.inputs))


def _why(item: Item, was_needed: set[str]) -> str:
    return "nothing but what is forgotten needs it" if item.key in was_needed else "no result and no sweep needs it"


def _is_known(inventory: Inventory, key: str) -> bool:
    """Whether the store records what the key's artifact needs."""
    return key in inventory.items or key in inventory.planned


def _may_go(item: Item, inventory: Inventory, let_go: set[str], oldest: float, streams: bool) -> bool:
    """Whether an incomplete folder may: somebody may be copying it, and rows that an LLM wrote can be saved by hand."""
    if inventory.is_held(item.key) or item.extent.path.is_symlink():
        return False
    if STAGES[item.stage].by_llm and (not streams or item.key in (inventory.planned - let_go) | inventory.inputs):
        return False
    return item.extent.changed <= oldest or item.key in let_go


def _incomplete(item: Item) -> Removal:
    return Removal(item.stage, item.key, item.extent, "incomplete: it has no meta.json, so nobody reads it")


def _loose(inventory: Inventory) -> list[Removal]:
    """What killed processes left."""
    found = [Removal(LOCK, "", Extent(lock.path, 0, 0.0), f"{lock.owner} is gone") for lock in inventory.locks if not lock.is_living]
    for key, extent in inventory.leftovers:
        if not inventory.is_held(key):
            found.append(Removal(LEFTOVER, key, extent, "left by a process that was killed"))
    return found


def _old_work(inventory: Inventory, let_go: set[str], oldest: float) -> list[Removal]:
    found = []
    for key, extent in inventory.work.items():
        why = ""
        if key in inventory.items:
            why = "half-done work on what is done by now"
        elif key in let_go:
            why = "half-done work of a forgotten sweep"
        elif extent.changed <= oldest:
            why = "half-done work that nobody went on with"
        if why and not inventory.is_held(key):
            found.append(Removal(WORK, key, extent, why))
    return found
