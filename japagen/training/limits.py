"""How many tokens an encoder takes, read from its files before anything starts. Nothing here needs torch."""

import json
from collections.abc import Iterable
from contextlib import suppress

from japagen.config.schema import Encoder
from japagen.errors import ConfigError
from japagen.hub.models import find_file

_STATED = {"config.json": "max_position_embeddings", "tokenizer_config.json": "model_max_length"}
_NO_LIMIT = 1_000_000
"""Tokenizers that state no limit give a number above this."""


def check_stated_length(encoder: Encoder, revision: str) -> None:
    """`check_length` with what the encoder's files state; what is not stated, or not here yet, is checked when training loads it."""
    check_length(encoder, [_stated(encoder, revision, file, setting) for file, setting in _STATED.items()])


def check_length(encoder: Encoder, limits: Iterable[object]) -> None:
    """Raises ConfigError where `model.max_length` is more than one of `limits` allows; what is no number is no limit."""
    limit = min(value for value in [*limits, _NO_LIMIT] if isinstance(value, int))
    if encoder.max_length > limit:
        raise ConfigError(f"model.max_length={encoder.max_length} is more than encoder {encoder.name!r} takes; allowed: 8 to {limit}")


def _stated(encoder: Encoder, revision: str, file: str, setting: str) -> object:
    with suppress(ConfigError, OSError, ValueError, AttributeError):  # no such file, or none that can be read
        path = find_file(encoder.id, revision, file)
        return json.loads(path.read_text(encoding="utf-8")).get(setting) if path is not None else None
    return None
