"""task.json in a data set's folder: the task it was made for, and which gold rows stood beside it.

Enough to look at a data set later without the configuration that made it; part of no key.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from japagen.config.fields import select
from japagen.config.schema import Data
from japagen.errors import StoreError
from japagen.store.files import read_json, write_json
from japagen.tasks import Attribute, Label, Published, SplitFile, Task

TASK_FILE = "task.json"


@dataclass(frozen=True)
class StoredTask:
    """What the file holds."""

    task: Task
    data: dict[str, Any]
    """Settings of `Data`, without the running ones, which say where files lie on this machine."""


def write_task(task: Task, data: Data, folder: Path) -> None:
    """Writes the file into a data set's folder."""
    kept = select(asdict(data), Data, lambda facts: not facts.running)
    write_json(folder / TASK_FILE, {"task": asdict(task), "data": kept})


def read_task(folder: Path) -> StoredTask | None:
    """The file's content; None for a data set made before there was one. StoreError for what another version wrote."""
    path = folder / TASK_FILE
    if not path.is_file():
        return None
    content = read_json(path)
    try:
        stored = StoredTask(_task_from_json(content["task"]), dict(content["data"]))
        Data(**stored.data)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"{path} is of another version of japagen ({error}); name task and gold data yourself, e.g. task=NAME data=published"
        ) from error
    return stored


def _task_from_json(content: Mapping[str, Any]) -> Task:
    published = content["published"]
    files = {part: {name: SplitFile(**file) for name, file in published[part].items()} for part in ("splits", "train_sources")}
    parts = {
        "labels": [Label(**label) for label in content["labels"]],
        "attributes": [Attribute(**attribute) for attribute in content["attributes"]],
        "published": Published(**{**published, **files}),
    }
    return Task(**{**content, **parts})
