"""How fast an encoder trains and predicts on this machine: a few optimiser steps and one prediction of fixed texts.

In: an encoder and a task, whose head and language it takes. Out: figures; no weights are kept. `japagen doctor` shows and records them.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed

from japagen.config.schema import Encoder
from japagen.tasks import Task
from japagen.training.encoding import EncodedRow, encode, padding_of
from japagen.training.prediction import Student
from japagen.training.pretrained import choose_device, load, quiet
from japagen.training.student import choose_precision

NUM_TEXTS = 256
"""Predicted once."""
LEAST_STEPS, MOST_STEPS, TIMED_S = 3, 40, 5.0
"""Optimiser steps that are timed: at least and at most so many, and no further one after so many seconds. One more goes before."""
_WORDS = {
    "ja": ("公園の", "ベンチに", "犬と", "男の人が", "座っていて、", "遠くの", "山を", "静かに", "眺めている。"),
    "": ("A man", "and his dog", "sit on", "a bench", "in the park", "and look", "quietly", "at the hills", "far away."),
}
"""Parts of the texts in the task's language, or in English."""


@dataclass(frozen=True)
class Speed:
    """What was measured."""

    device: str
    precision: str
    num_parameters: int
    max_length: int
    """Tokens that a text (or pair) is cut to."""
    batch_size: int
    tokens_per_text: float
    """Mean, special tokens counted."""
    unknown: float
    """Share of the texts' tokens that the tokenizer does not know."""
    is_finite: bool
    """Whether every loss was a number."""
    train_texts_per_s: float
    predict_texts_per_s: float


def measure_speed(task: Task, encoder: Encoder, path: str, revision: str | None, batch_size: int, device: str = "auto") -> Speed:
    """Loads the encoder as a training would, trains for some seconds and predicts.

    Raises what `load` raises, and TrainingError where `device` is not available.
    """
    device = choose_device(device)
    precision = choose_precision(encoder, device)
    with quiet():
        set_seed(0)
        model, tokenizer, max_length = load(task, encoder, path, revision)
        texts = list(islice(_texts(task), NUM_TEXTS))
        rows = encode(tokenizer, texts, max_length).rows
        model = model.to(device)  # type: ignore[arg-type]  # transformers wraps `to` in what mypy takes for a function
        train_texts_per_s, is_finite = _train(model, tokenizer, rows, batch_size, precision)
        student = Student(model, tokenizer, device, max_length)
        began = time.perf_counter()
        student.predict(texts)
        predict_s = time.perf_counter() - began
    ids = np.concatenate([row["input_ids"] for row in rows])
    unknown = float((ids == tokenizer.unk_token_id).mean()) if isinstance(tokenizer.unk_token_id, int) else 0.0
    return Speed(
        device,
        precision,
        model.num_parameters(),
        max_length,
        batch_size,
        len(ids) / len(rows),
        unknown,
        is_finite,
        train_texts_per_s,
        len(texts) / predict_s,
    )


def _texts(task: Task) -> Iterator[tuple[str, ...]]:
    """Texts of a caption's length, each another choice and order of the words; pairs for a task of pairs."""
    words = _WORDS.get(task.language or "", _WORDS[""])
    space = " " if words is _WORDS[""] else ""
    random = np.random.default_rng(0)
    while True:
        yield tuple(
            space.join(words[index] for index in random.permutation(len(words))[: random.integers(4, len(words) + 1)])
            for _ in range(2 if task.is_pair else 1)
        )


def _train(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: list[EncodedRow], batch_size: int, precision: str
) -> tuple[float, bool]:
    """Texts a second of plain optimiser steps, and whether all losses were finite."""
    padding, num_labels = padding_of(tokenizer), int(model.config.num_labels or 1)
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=1e-5)
    began, num_steps, is_finite = 0.0, -1, True
    while num_steps < LEAST_STEPS or (num_steps < MOST_STEPS and time.perf_counter() - began < TIMED_S):
        start = (num_steps + 1) * batch_size
        batch = [rows[(start + place) % len(rows)] for place in range(batch_size)]
        kind = torch.float32 if num_labels == 1 else torch.int64
        targets = (torch.arange(batch_size) % max(num_labels, 2)).to(kind)
        with torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16-mixed"):
            loss = model(**{name: ids.to(model.device) for name, ids in padding(batch).items()}, labels=targets.to(model.device)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        is_finite = is_finite and math.isfinite(loss.item())  # waits for a GPU too
        num_steps += 1
        if num_steps == 0:  # the step before those that are timed
            began = time.perf_counter()
    return num_steps * batch_size / (time.perf_counter() - began), is_finite
