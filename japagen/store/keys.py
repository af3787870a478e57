"""What enters which key: the identity of every stage, in one place.

A key is the sha256 of the canonical JSON of a stage's identity and version. An input made by another stage enters by that
stage's key, so every key is known before anything runs. Running settings (paths, devices, servers, concurrency, loggers)
enter no identity. Raise a version by hand when the code gives a stage another meaning.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any

from japagen.store.stages import STAGES
from japagen.tasks import Example

KEY_LENGTH = 32


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces; TypeError or ValueError for what has no single serialisation."""
    _check_serialisable(value, "identity")
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _check_serialisable(value: Any, where: str) -> None:
    if value is None or isinstance(value, str | bool | int):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}, which has no place in a key")
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            _check_serialisable(item, f"{where}[{position}]")
    elif isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(name, str):
                raise TypeError(f"{where} has the key {name!r}, which is no string")
            _check_serialisable(item, f"{where}.{name}")
    else:
        raise TypeError(f"{where} is a {type(value).__name__}, which can't be serialised deterministically")


def stage_key(stage: str, identity: dict[str, Any], version: int | None = None) -> str:
    """32 hexadecimal digits for a stage's identity under the stage's present version, or an older one."""
    content = canonical_json({"stage": stage, "version": STAGES[stage].version if version is None else version, "identity": identity})
    return hashlib.sha256(content.encode()).hexdigest()[:KEY_LENGTH]


def examples_checksum(examples: Sequence[Example]) -> str:
    """sha256 over texts, labels and scores in their order."""
    rows = [[list(example.texts), example.label, example.score] for example in examples]
    return hashlib.sha256(canonical_json(rows).encode()).hexdigest()


def texts_checksum(texts: Sequence[tuple[str, ...]]) -> str:
    """sha256 over texts in their order."""
    return hashlib.sha256(canonical_json([list(text) for text in texts]).encode()).hexdigest()
