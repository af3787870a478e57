"""From what a user types to an artifact of the store: a key, its beginning, or the artifact's folder."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from japagen.commands.terminal import open_store
from japagen.errors import StoreError
from japagen.store.files import expand_home, read_json
from japagen.store.stages import FOLDERS, STAGES
from japagen.store.store import Store

FEWEST_DIGITS = 4
MOST_NAMED = 8
"""Candidates that a message lists."""


@dataclass(frozen=True)
class Artifact:
    """Something published, or a stream."""

    store: Store
    stage: str
    key: str

    @property
    def folder(self) -> Path:
        return self.store.path(self.stage, self.key)

    @property
    def name(self) -> str:
        """'data set 877001d0…'."""
        return f"{STAGES[self.stage].words} {self.key}"

    def meta(self) -> dict[str, Any]:
        return self.store.meta(self.stage, self.key)


def artifacts(store: Store, folder: str, beginning: str = "") -> list[Artifact]:
    """What lies in one of FOLDERS under keys that begin so, by key."""
    stages = [name for name, stage in STAGES.items() if stage.folder == folder]
    found = []
    for meta in sorted((store.root / folder).glob(f"{beginning}*/meta.json")):
        stage = stages[0] if len(stages) == 1 else read_json(meta)["stage"]
        found.append(Artifact(store, stage, meta.parent.name))
    return found


def find_artifact(store: Store, what: str) -> Artifact:
    """The one that `what` names in `store`; a folder may also lie in another store. StoreError where it names none, or several."""
    if re.fullmatch(r"[0-9a-fA-F]{1,32}", what):
        return _by_key(store, what.lower())
    folder = expand_home(what).absolute()
    if not folder.is_dir():
        raise StoreError(f"{what!r} is neither a key ({FEWEST_DIGITS} to 32 hexadecimal digits) nor a folder; {_contents(store)}")
    return _by_folder(folder)


def find_dataset(directory: str | None, what: str) -> Artifact:
    """The data set that `what` names in the store `directory`, or the default one. StoreError where it names none, or another artifact."""
    artifact = find_artifact(open_store(directory), what)
    if artifact.stage != "dataset":
        raise StoreError(f"{artifact.name} is no data set; name one (`japagen ls datasets` lists them)")
    return artifact


def _by_key(store: Store, beginning: str) -> Artifact:
    if len(beginning) < FEWEST_DIGITS:
        raise StoreError(f"{beginning!r} is too short; give {FEWEST_DIGITS} digits of the key or more")
    found = [artifact for folder in FOLDERS for artifact in artifacts(store, folder, beginning)]
    if not found:
        raise StoreError(f"nothing in the store {store.root} has a key that begins with {beginning!r}; {_contents(store)}")
    if len(found) > 1:
        raise StoreError(
            f"{beginning!r} is the beginning of {len(found)} keys: {_named([artifact.name for artifact in found])}; give more digits"
        )
    return found[0]


def _by_folder(folder: Path) -> Artifact:
    if not (folder / "meta.json").is_file():
        raise StoreError(f"{folder} is no artifact of a store: it holds no meta.json; {_LAYOUT}")
    meta = read_json(folder / "meta.json")
    stage, key = meta.get("stage"), meta.get("key")
    if stage not in STAGES or folder.parent.name != STAGES[stage].folder or folder.name != key:
        raise StoreError(f"{folder} isn't where its meta.json says that it belongs ({stage} {key}); {_LAYOUT}")
    return Artifact(Store(folder.parent.parent), stage, key)


_LAYOUT = f"a store's folders are STORE/{{{','.join(FOLDERS)}}}/KEY"


def _contents(store: Store) -> str:
    """What there is to name, the data sets first."""
    datasets = [artifact.key for artifact in artifacts(store, STAGES["dataset"].folder)]
    others = {folder: len(artifacts(store, folder)) for folder in FOLDERS if folder != STAGES["dataset"].folder}
    beside = ", ".join(f"{folder}: {num}" for folder, num in others.items() if num)
    return "; ".join(filter(None, [f"its data sets: {_named(datasets) or 'none'}", beside]))


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST_NAMED]) + ", …" * (len(names) > MOST_NAMED)
