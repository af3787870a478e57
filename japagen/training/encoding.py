"""Texts -> token ids, once before training; and lists of ids -> padded tensors, batch by batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from japagen.training.words import split_words

_CHUNK = 1000
"""Texts tokenised together: lets a fast tokenizer use all cores, and bounds what its answer takes in memory."""

_MOST_KEPT = 300_000
"""Texts whose tokens stay in memory for the next student, about half a kilobyte each; the oldest go first."""

_SPLITTER = "word_splitter"
"""Key in tokenizer_config.json: what splits the texts into words, as `model.word_splitter` names it."""

EncodedRow = dict[str, np.ndarray]
"""One tokenised text or pair: `input_ids` (T,) int32 and, where the tokenizer makes them, `token_type_ids` (T,) int32."""


@dataclass(frozen=True)
class Encoded:
    """Tokenised rows, in the order of the texts."""

    rows: list[EncodedRow]
    truncated: int
    """Rows that were longer and have been cut."""

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row."""
        return [len(row["input_ids"]) for row in self.rows]


_kept: dict[tuple[str, int, tuple[tuple[str, ...], ...]], Encoded] = {}


def encode_once(source: str, tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]], max_length: int) -> Encoded:
    """`encode`, or what it gave in this process for the same texts: a sweep's seeds train and are scored on the same ones.

    source: says which tokenizer it is, such as its name and revision.
    """
    key = (source, max_length, tuple(texts))
    encoded = _kept.pop(key, None) or encode(tokenizer, texts, max_length)
    _kept[key] = encoded
    while len(_kept) > 1 and sum(len(encoded.rows) for encoded in _kept.values()) > _MOST_KEPT:
        del _kept[next(iter(_kept))]
    return encoded


def encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]], max_length: int) -> Encoded:
    """Tokenises single texts or pairs; those above `max_length` tokens are cut (pairs: the longer text first) and counted.

    Texts are split into words first where the tokenizer's settings say so, see `needs_words`.
    """
    if texts and tokenizer.init_kwargs.get(_SPLITTER):
        texts = split_words(texts)
    rows = [row for start in range(0, len(texts), _CHUNK) for row in _tokenise(tokenizer, texts[start : start + _CHUNK])]
    long = [index for index, row in enumerate(rows) if len(row["input_ids"]) > max_length]
    for index, row in zip(long, _tokenise(tokenizer, [texts[index] for index in long], max_length), strict=True):
        rows[index] = row
    return Encoded(rows, len(long))


def needs_words(tokenizer: PreTrainedTokenizerBase, splitter: str) -> None:
    """Notes in the tokenizer's settings by what its texts are split into words; save_pretrained keeps it with the student."""
    tokenizer.init_kwargs[_SPLITTER] = splitter


def _tokenise(tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]], max_length: int | None = None) -> list[EncodedRow]:
    if not texts:
        return []
    columns = [list(column) for column in zip(*texts, strict=True)]
    found = tokenizer(*columns, truncation=max_length is not None, max_length=max_length, return_attention_mask=False, verbose=False)
    names = [name for name in ("input_ids", "token_type_ids") if name in found]
    return [{name: np.asarray(found[name][index], dtype=np.int32) for name in names} for index in range(len(texts))]


@dataclass(frozen=True)
class Padding:
    """What fills up the shorter rows of a batch."""

    input_ids: int
    token_type_ids: int

    def __call__(self, rows: Sequence[EncodedRow]) -> dict[str, torch.Tensor]:
        """The model's inputs, each (B, T) int64, T the longest row's length; `attention_mask` is 0 on padding."""
        width = max(len(row["input_ids"]) for row in rows)
        inputs = {name: np.full((len(rows), width), getattr(self, name), dtype=np.int64) for name in rows[0]}
        mask = np.zeros((len(rows), width), dtype=np.int64)
        for index, row in enumerate(rows):
            mask[index, : len(row["input_ids"])] = 1
            for name, ids in row.items():
                inputs[name][index, : len(ids)] = ids
        return {name: torch.from_numpy(padded) for name, padded in (inputs | {"attention_mask": mask}).items()}


def padding_of(tokenizer: PreTrainedTokenizerBase) -> Padding:
    """The tokenizer's own padding ids (0 where it has none: what the attention mask hides is never looked at)."""
    pad = tokenizer.pad_token_id
    return Padding(pad if isinstance(pad, int) else 0, tokenizer.pad_token_type_id)
