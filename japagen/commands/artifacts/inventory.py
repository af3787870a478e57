"""What the store holds, and who uses what: read once, by folder entries, file sizes and meta.json; `japagen ls` and `gc` are built on it.

In: a store's folder. Out: its artifacts by key with what each was made from, the results and sweeps that use them, locks, half-done
work and leftovers. Nothing is changed, no rows and no parquet files are read, and what isn't the store's own is passed over.
"""

import os
import re
import stat
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from japagen.errors import StoreError
from japagen.store.files import read_json
from japagen.store.locks import SILENT_S, Held
from japagen.store.stages import FOLDERS, STAGES
from japagen.store.store import Store
from japagen.sweeps.folder import Planned, sweep_folders
from japagen.synthesis.claims import FOLDER as CLAIMS

if TYPE_CHECKING:
    from japagen.experiments.result import Result

_KEY = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_LEFTOVER = re.compile(r"\.([0-9a-f]{32})\.[0-9a-f]{8}\.tmp")
_SWEEP_LEFTOVER = re.compile(r"\.sweep-.+\.[0-9a-f]{8}\.tmp")
_LOCK_LEFTOVER = re.compile(r"\.lock\.[0-9a-f]{32}(\.stale)?$")


@dataclass(frozen=True)
class Extent:
    """A folder, or a file, on the disk."""

    path: Path
    num_bytes: int
    changed: float
    """When its newest file or folder was; seconds since the epoch."""


@dataclass(frozen=True)
class Item:
    """One artifact; without `meta` an incomplete one, which nobody reads."""

    stage: str
    key: str
    extent: Extent
    meta: dict[str, Any] | None = field(repr=False)
    """meta.json without long fields that are not used here."""
    inputs: frozenset[str] = frozenset()
    """Keys that its identity names, and for a result those of all its stages; some may not be in the store."""
    result: "Result | None" = None

    @property
    def basis(self) -> str:
        """The key whose users are its own: a quality report's data set, for all else itself."""
        return str(self.meta["identity"].get("dataset")) if self.stage == "quality" and self.meta is not None else self.key


@dataclass(frozen=True)
class Inventory:
    """One look at a store."""

    store: Store
    items: dict[str, Item]
    """Complete artifacts by key."""
    incomplete: tuple[Item, ...]
    leftovers: tuple[tuple[str, Extent], ...]
    """(key, '.KEY.….tmp') or (key, a stream's claims/) of writers that were killed or still write; ('', …) in locks/, and of sweeps that
    were being removed."""
    work: dict[str, Extent]
    """Half-done work by key."""
    locks: tuple[Held, ...]
    sweeps: dict[str, tuple[Planned, ...]]
    """Name -> what it plans; the latest last."""
    faults: tuple[str, ...]
    """What can't be read, and so what it needs isn't known."""

    def reachable(self, keys: Iterable[str]) -> set[str]:
        """The `keys` that the store has and all that they were made from, directly or not."""
        found: set[str] = set()
        waiting = deque(keys)
        while waiting:
            key = waiting.popleft()
            if key in self.items and key not in found:
                found.add(key)
                waiting.extend(self.items[key].inputs)
        return found

    @cached_property
    def results_of(self) -> dict[str, list[str]]:
        """Key -> keys of the results that need it."""
        return self._users({key: [key] for key, item in self.items.items() if item.stage == "result"})

    @cached_property
    def sweeps_of(self) -> dict[str, list[str]]:
        """Key -> names of the sweeps that plan it, or need it."""
        return self._users(
            {name: [key for experiment in planned for key in experiment.keys.values()] for name, planned in self.sweeps.items()}
        )

    def _users(self, roots: dict[str, list[str]]) -> dict[str, list[str]]:
        users: dict[str, list[str]] = {}
        for user, keys in roots.items():
            for key in self.reachable(keys):
                users.setdefault(key, []).append(user)
        return users

    @cached_property
    def planned(self) -> frozenset[str]:
        """All keys that sweeps plan."""
        return frozenset(key for experiments in self.sweeps.values() for experiment in experiments for key in experiment.keys.values())

    @cached_property
    def inputs(self) -> frozenset[str]:
        """All keys that something was made from."""
        return frozenset(key for item in self.items.values() for key in item.inputs)

    @cached_property
    def tasks_of(self) -> dict[str, set[str]]:
        """Key -> tasks of the results and planned experiments that name it; for quality reports see their data sets."""
        tasks: dict[str, set[str]] = {}
        named = [(item.result.task, item.result.keys) for item in self.items.values() if item.result is not None]
        for task, keys in named + [
            (experiment.task, experiment.keys) for experiments in self.sweeps.values() for experiment in experiments
        ]:
            for key in keys.values():
                tasks.setdefault(key, set()).add(task)
        return tasks

    def is_held(self, key: str) -> bool:
        """Whether somebody who may be there still holds a lock on the key."""
        return key in self.held

    @cached_property
    def held(self) -> dict[str, str]:
        """Key -> who holds a lock on it, of owners that may be there still."""
        return {key: lock.owner for lock in self.locks if lock.is_living for key in _KEY.findall(lock.path.name)[:1]}


def read_inventory(store: Store) -> Inventory:
    """Everything about the store; what can't be read is named in `faults`."""
    faults: list[str] = []
    items: dict[str, Item] = {}
    incomplete, leftovers = [], []
    for name in FOLDERS:
        for entry in _entries(store.root / name):
            if (matched := _LEFTOVER.fullmatch(entry.name)) and entry.is_dir():
                leftovers.append((matched[1], extent_of(Path(entry.path))))
            elif _KEY.fullmatch(entry.name) and entry.is_dir():
                try:
                    item = _read_item(name, Path(entry.path))
                except StoreError as error:
                    faults.append(str(error))
                    continue
                if item is not None and item.meta is None:
                    incomplete.append(item)
                elif item is not None:
                    items[item.key] = item
    leftovers += _claims(store)
    leftovers += [("", extent) for extent in _lock_leftovers(store)]
    leftovers += [("", extent_of(Path(entry.path))) for entry in _entries(store.root) if _SWEEP_LEFTOVER.fullmatch(entry.name)]
    work = {entry.name: extent_of(Path(entry.path)) for entry in _entries(store.root / "work") if _KEY.fullmatch(entry.name)}
    sweeps = _read_sweeps(store, faults)
    return Inventory(store, items, tuple(incomplete), tuple(leftovers), work, tuple(store.locks()), sweeps, tuple(faults))


def extent_of(path: Path) -> Extent:
    """Size and newest change of a folder with all in it, links not followed; of one that goes meanwhile what is left."""
    num_bytes, changed = 0, 0.0
    for status in _walk(path):
        num_bytes += 0 if stat.S_ISDIR(status.st_mode) else status.st_size
        changed = max(changed, status.st_mtime)
    return Extent(path, num_bytes, changed)


def session_costs(folder: Path) -> tuple[int, int, float]:
    """(rows, completion tokens, seconds) that an LLM stage's sessions.jsonl counts; runs that were killed aren't in it."""
    from japagen.experiments.stages import sessions

    lines = sessions(folder)
    return (
        int(sum(line["rows"] for line in lines)),
        int(sum(line["completion_tokens"] for line in lines)),
        sum(line["seconds"] for line in lines),
    )


def _read_item(folder_name: str, folder: Path) -> Item | None:
    """None for a folder that is gone by now, or that says that it belongs elsewhere; StoreError where it can't be read."""
    from japagen.experiments.result import read_result

    stages = [name for name, stage in STAGES.items() if stage.folder == folder_name]
    extent = extent_of(folder)
    if not (folder / "meta.json").exists():
        return Item(stages[-1], folder.name, extent, None) if folder.is_dir() else None
    try:
        meta = read_json(folder / "meta.json")
        if not isinstance(meta, dict) or "identity" not in meta:
            raise StoreError(f"{folder / 'meta.json'} doesn't say what its folder was made from; remove the folder to have it made again")
        if meta.get("stage") not in stages or meta.get("key") != folder.name:
            return None
        result = read_result(folder) if meta["stage"] == "result" else None
    except StoreError:
        if folder.is_dir():
            raise
        return None
    except TypeError as error:
        raise StoreError(f"{folder / 'result.json'} can't be read ({error}); remove its folder to have it made again") from error
    inputs = set(_keys_in(meta["identity"])) | set(result.keys.values() if result else ())
    short = {name: value for name, value in meta.items() if name not in ("versions", "checksums", "training", "commit")}
    return Item(meta["stage"], folder.name, extent, short, frozenset(inputs - {folder.name}), result)


def _read_sweeps(store: Store, faults: list[str]) -> dict[str, tuple[Planned, ...]]:
    sweeps = {}
    for folder in sweep_folders(store):
        try:
            sweeps[folder.name] = tuple(folder.experiments())
        except StoreError as error:
            faults.append(str(error))
        except (KeyError, TypeError) as error:
            faults.append(f"{folder.root / 'plan.json'} is no plan of a sweep ({error!r}); remove its folder to forget the sweep")
    return sweeps


def _lock_leftovers(store: Store) -> Iterator[Extent]:
    """What those left who were killed between the two steps in which a lock is made, or taken over."""
    for entry in _entries(store.root / "locks"):
        if _LOCK_LEFTOVER.search(entry.name):
            extent = extent_of(Path(entry.path))
            if time.time() - extent.changed > SILENT_S:
                yield extent


def _claims(store: Store) -> Iterator[tuple[str, Extent]]:
    """Who writes a stream takes its claims away at the end."""
    for entry in _entries(store.root / STAGES["stream"].folder):
        claims = Path(entry.path) / CLAIMS
        if _KEY.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False) and _entries(claims):
            yield entry.name, extent_of(claims)


def _keys_in(value: Any) -> Iterator[str]:
    """All keys in nested dicts and lists, also those within a longer string, as rows of method=mixed have them."""
    if isinstance(value, str):
        yield from _KEY.findall(value)
    elif isinstance(value, dict | list):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _keys_in(entry)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _walk(path: Path) -> Iterator[os.stat_result]:
    waiting = [path]
    while waiting:
        current = waiting.pop()
        try:
            status = current.lstat() if current != path else current.stat()
        except FileNotFoundError:
            continue
        yield status
        if stat.S_ISDIR(status.st_mode):
            waiting += [Path(entry.path) for entry in _entries(current)]
