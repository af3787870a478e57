"""An encoder without training: texts to vectors, for baselines that show what a student owes to its pretraining."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from japagen.config.schema import Encoder
from japagen.tasks import Task
from japagen.training.batches import by_length
from japagen.training.encoding import encode, padding_of
from japagen.training.limits import max_length_of
from japagen.training.pretrained import choose_device, load, memory_is_enough, quiet

_BATCH_SIZE = 64
_MOST_KEPT = 50_000
"""Texts whose vectors stay in memory for the next student of a sweep: 200 MB at 1,024 numbers each; the oldest lists go first."""

_kept: dict[tuple[str, tuple[str, ...]], np.ndarray] = {}


def frozen_encoder(
    task: Task, encoder: Encoder, path: str, revision: str | None, device: str = "auto"
) -> Callable[[Sequence[str]], np.ndarray]:
    """A function from texts to vectors, (N, H) float32: the mean of the last layer's hidden states over a text's tokens.

    The mean is over all tokens that padding doesn't hide, as in Sentence-BERT (Reimers and Gurevych 2019). Loading, splitting into words
    and cutting at its longest input are the student's own, without its head; texts get no prefix. The weights are loaded when the
    first text comes; lists of texts that came before in this process, for the same encoder, load nothing. The function raises
    TrainingError where something can't be loaded or a GPU's memory is too small.
    """
    source = repr((path, revision, encoder.trust_remote_code, encoder.word_splitter, max_length_of(encoder, task), device))

    @cache
    def loaded() -> tuple[Any, Any, str, int]:
        chosen = choose_device(device)
        with quiet(), torch.random.fork_rng(devices=[]):  # the head is drawn, and thrown away
            model, tokenizer, max_length = load(task, encoder, path, revision)
        return model.base_model.eval().to(chosen), tokenizer, chosen, max_length

    def vectors(texts: Sequence[str]) -> np.ndarray:
        key = (source, tuple(texts))
        found = _kept.pop(key, None)
        if found is None:
            found = _mean_pooled(*loaded(), texts)
        _kept[key] = found
        while len(_kept) > 1 and sum(map(len, _kept.values())) > _MOST_KEPT:
            del _kept[next(iter(_kept))]
        return found

    return vectors


def _mean_pooled(body: Any, tokenizer: Any, device: str, max_length: int, texts: Sequence[str]) -> np.ndarray:
    with quiet(), torch.inference_mode(), memory_is_enough():
        encoded = encode(tokenizer, [(text,) for text in texts], max_length)
        padding, batches = padding_of(tokenizer), by_length(encoded.lengths, _BATCH_SIZE)
        found = [_pool(body, padding([encoded.rows[index] for index in indices]), device) for indices in batches]
        order = [index for indices in batches for index in indices]
        pooled = torch.cat(found).cpu().numpy() if found else np.zeros((0, body.config.hidden_size), dtype=np.float32)
    vectors = np.empty_like(pooled)
    vectors[order] = pooled
    return vectors


def _pool(body: Any, inputs: dict[str, torch.Tensor], device: str) -> torch.Tensor:
    """(B, H) float32 of a padded batch; stays on the device."""
    moved = {name: ids.to(device) for name, ids in inputs.items()}
    found = body(**moved, output_hidden_states=True)  # code of its own may have no encoder apart from the classifier
    hidden = getattr(found, "last_hidden_state", found.hidden_states[-1]).float()
    mask = moved["attention_mask"][:, :, None].float()
    return (hidden * mask).sum(dim=1) / mask.sum(dim=1)
