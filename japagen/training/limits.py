"""How many tokens a text (or pair) is cut to, and whether the encoder takes so many. Nothing here needs torch.

`model.max_length`, or where it is null a number that follows from the task alone, so that keys are known before any text is. Batches are
padded to their longest row only: a generous number costs nothing where texts are short.
"""

import json
from collections.abc import Iterable
from contextlib import suppress

from japagen.config.schema import Encoder
from japagen.errors import ConfigError
from japagen.hub.models import find_file
from japagen.tasks import Task

TOKENS_PER_CHAR = 1.2
"""Above what tokenizers of Japanese make of a character (0.5 to 1.0), so that nearly no text is cut."""
SPECIAL_TOKENS = 16
"""Allowed for what a tokenizer puts around a text or pair."""
LEAST, MOST = 128, 512
"""Of derived lengths. Gold texts may be longer than a task's max_chars; no encoder here takes less than 128, most take 512."""
_STATED = {"config.json": "max_position_embeddings", "tokenizer_config.json": "model_max_length"}
_NO_LIMIT = 1_000_000
"""Tokenizers that state no limit give a number above this."""


def max_length_of(encoder: Encoder, task: Task) -> int:
    """`model.max_length`; where it is null, from the longest texts that the task allows, before the encoder's own limit."""
    if encoder.max_length is not None:
        return encoder.max_length
    chars = max(task.max_chars, task.gold_chars or 0) * task.num_turns
    return max(LEAST, min(MOST, round(TOKENS_PER_CHAR * chars) + SPECIAL_TOKENS))


def check_stated_length(encoder: Encoder, revision: str) -> None:
    """`fitting_length` with what the encoder's files state; what is not stated, or not here yet, is checked when training loads it."""
    if encoder.max_length is not None:
        fitting_length(encoder, encoder.max_length, [_stated(encoder, revision, file, setting) for file, setting in _STATED.items()])


def fitting_length(encoder: Encoder, max_length: int, limits: Iterable[object]) -> int:
    """The length that the encoder takes: a derived one is lowered to the least of `limits`; what is no number is no limit.

    Raises ConfigError where `model.max_length` is set to more than that.
    """
    limit = min(value for value in [*limits, _NO_LIMIT] if isinstance(value, int))
    if encoder.max_length is not None and encoder.max_length > limit:
        raise ConfigError(f"model.max_length={encoder.max_length} is more than encoder {encoder.name!r} takes; allowed: 8 to {limit}")
    return min(max_length, limit)


def _stated(encoder: Encoder, revision: str, file: str, setting: str) -> object:
    with suppress(ConfigError, OSError, ValueError, AttributeError):  # no such file, or none that can be read
        path = find_file(encoder.id, revision, file)
        return json.loads(path.read_text(encoding="utf-8")).get(setting) if path is not None else None
    return None
