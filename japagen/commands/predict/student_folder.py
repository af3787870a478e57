"""From what a user types to a student's folder: a key of a model or of a result, or any folder with a Hugging Face classifier."""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from japagen.commands.artifacts.artifacts import FEWEST_DIGITS, Artifact, artifacts, find_artifact
from japagen.commands.artifacts.export_folder import PROVENANCE
from japagen.commands.terminal import open_store
from japagen.errors import StoreError
from japagen.store.files import expand_home, read_json
from japagen.store.stages import FOLDERS, STAGES
from japagen.store.store import Store
from japagen.training.verdict import Verdict, stored_verdict

_KEY = re.compile(r"[0-9a-fA-F]{1,32}")


@dataclass(frozen=True)
class StudentFolder:
    """A classifier's folder, and the task that its config.json describes."""

    folder: Path
    is_regression: bool
    fields: tuple[str, ...] | None
    """What the task calls its texts; None for a classifier of others."""
    gold_chars: int | None
    """What the task cuts texts to."""
    verdict: Verdict | None = None
    """Whether it learned anything, where meta.json or an export's provenance.json says so."""


def find_student(what: str, store: str | None) -> StudentFolder:
    """The student that `what` names: a key or its beginning in `store` (none: the default), or a folder, which needs no store.

    Raises StoreError where it names none, something else, or a student whose weights have been removed.
    """
    if not _KEY.fullmatch(what):
        return _by_folder(expand_home(what))
    opened = open_store(store)
    if len(what) >= FEWEST_DIGITS and not any(artifacts(opened, folder, what.lower()) for folder in FOLDERS):
        for result in _results(opened):
            if str(result["keys"].get("model", "")).startswith(what.lower()):
                raise StoreError(_removed(opened, result))
    return _by_artifact(find_artifact(opened, what))


def _by_folder(folder: Path) -> StudentFolder:
    if not folder.is_dir():
        raise StoreError(f"{str(folder)!r} is neither a folder nor a key of the store ({FEWEST_DIGITS} to 32 hexadecimal digits)")
    absolute = folder.absolute()
    if (absolute / "meta.json").is_file() and absolute.parent.name in FOLDERS and _KEY.fullmatch(absolute.name):
        return _by_artifact(find_artifact(Store(absolute.parent.parent), str(absolute)))
    return _read(folder)


def _read(folder: Path) -> StudentFolder:
    if not (folder / "config.json").is_file():
        raise StoreError(f"{folder} holds no config.json: it is neither a student nor another Hugging Face classifier")
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError("no JSON object")
    except (OSError, ValueError) as error:
        raise StoreError(f"{folder / 'config.json'} can't be read ({error}); get the model's files anew") from error
    texts = config.get("japagen") or {}
    fields = tuple(texts["fields"]) if texts.get("fields") else None
    return StudentFolder(folder, config.get("problem_type") == "regression", fields, texts.get("gold_chars"), _verdict(folder))


def _verdict(folder: Path) -> Verdict | None:
    for name in ("meta.json", PROVENANCE):
        if (folder / name).is_file():
            with suppress(ValueError, TypeError, AttributeError):  # a file of this name that isn't ours
                return stored_verdict(read_json(folder / name))
    return None


def _by_artifact(artifact: Artifact) -> StudentFolder:
    store = artifact.store
    if artifact.stage == "model":
        return _read(artifact.folder)
    if artifact.stage != "result":
        raise StoreError(f"{artifact.name} is no student; name a model or a result{_students_of(artifact)}")
    result = read_json(artifact.folder / "result.json")
    key = result["keys"].get("model")
    if key is None:
        raise StoreError(f"{artifact.name} has no student: the LLM answered itself (method={result['method']})")
    if store.find("model", key) is None:
        raise StoreError(_removed(store, result))
    return _by_artifact(Artifact(store, "model", key))


def _students_of(artifact: Artifact) -> str:
    """For messages: the students of a data set."""
    if artifact.stage != "dataset":
        return ""
    models = artifacts(artifact.store, STAGES["model"].folder)
    made = [model.key for model in models if model.meta()["identity"]["rows"].partition("+")[0] == artifact.key]
    return f"; students of this data set: {', '.join(made[:8])}" if made else "; the store has no student of this data set"


def _removed(store: Store, result: dict[str, Any]) -> str:
    """What has become of a result's student, which students are left instead, and how to have it back."""
    key, own = result["keys"]["model"], result["keys"]["result"]
    left = _left(store, result, _results(store))
    instead = f" Of the same settings with another seed there is {', '.join(left)}." if left else ""
    return (
        f"the weights of student {key} are no more in the store {store.root}: they go once their result is there, unless train.keep=all;"
        f" train.keep=best_seed leaves those of the best seed.{instead} To have them back, remove {store.path('result', own)} and run"
        " the same experiment with train.keep=all: it is trained again"
    )


def _left(store: Store, result: dict[str, Any], results: Sequence[dict[str, Any]]) -> list[str]:
    alike = [
        other["keys"].get("model", "") for other in results if other.get("settings") and other.get("settings") == result.get("settings")
    ]
    return [key for key in dict.fromkeys(alike) if key and store.find("model", key) is not None]


def _results(store: Store) -> list[dict[str, Any]]:
    return [read_json(artifact.folder / "result.json") for artifact in artifacts(store, STAGES["result"].folder)]
