"""What a trained student says of texts."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from japagen.errors import TrainingError
from japagen.training.batches import by_length
from japagen.training.encoding import encode, encode_once, padding_of
from japagen.training.outputs import probabilities
from japagen.training.pretrained import choose_device, memory_is_enough, quiet


class Student:
    """A student on its device, loaded once for as many texts as come."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, device: str, max_length: int) -> None:
        self._model, self._tokenizer = model.eval().to(device), tokenizer
        config: Any = model.config
        self.device = device
        """cpu or cuda."""
        self.is_regression = config.problem_type == "regression"
        self.labels: list[str] = [config.id2label[index] for index in range(config.num_labels)]
        """Their names in the order of the outputs."""
        self.max_length = max_length
        """Tokens a text is cut to."""
        self.num_truncated = 0
        """Texts that were longer, of all predicted so far."""

    def predict(self, texts: Sequence[tuple[str, ...]], batch_size: int = 64, source: str | None = None) -> np.ndarray:
        """Probabilities (N, C) float32 in the labels' order, or values (N, 1) float32 for regression, in the texts' order.

        Values are clipped to the range of the task's levels. source: see `encode_once`; without one no tokens are kept.
        Raises TrainingError where a GPU's memory is too small.
        """
        with quiet(), torch.inference_mode():
            asked = self._tokenizer, texts, self.max_length
            encoded = encode(*asked) if source is None else encode_once(source, *asked)
            self.num_truncated += encoded.truncated
            padding, batches = padding_of(self._tokenizer), by_length(encoded.lengths, batch_size)
            with memory_is_enough():
                found = [self._logits(padding([encoded.rows[index] for index in indices])) for indices in batches]
        logits = np.zeros((len(texts), self._model.config.num_labels), dtype=np.float32)
        for indices, part in zip(batches, found, strict=True):
            logits[indices] = part.cpu().numpy()
        return self._outputs(logits)

    def _logits(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        """Stays on the device: a GPU then has work queued while the next batch is padded."""
        return self._model(**{name: ids.to(self.device) for name, ids in inputs.items()}).logits.float()

    def _outputs(self, logits: np.ndarray) -> np.ndarray:
        if not self.is_regression:
            return probabilities(logits)
        low, high = getattr(self._model.config, "score_range", (-np.inf, np.inf))
        return logits.clip(low, high)


def load_student(folder: Path, device: str = "auto", max_length: int | None = None, trust_remote_code: bool = False) -> Student:
    """Loads a student that `train_student` wrote, or any Hugging Face classifier with one label a text.

    max_length: tokens a text is cut to; none: as in training. Raises TrainingError where the folder can't be loaded, holds no
    trained classifier of that kind, or the device is not available.
    """
    device = choose_device(device)
    with quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
            model, info = AutoModelForSequenceClassification.from_pretrained(
                folder, dtype=torch.float32, trust_remote_code=trust_remote_code, output_loading_info=True
            )
        except (ImportError, OSError, ValueError, KeyError) as error:
            raise TrainingError(f"the student in {folder} can't be loaded: {' '.join(str(error).split())[:500]}") from error
    _check_classifier(folder, model, sorted(info["missing_keys"]))
    return Student(model, tokenizer, device, _max_length(model, tokenizer) if max_length is None else max_length)


def predict(
    folder: Path,
    texts: Sequence[tuple[str, ...]],
    device: str = "auto",
    batch_size: int = 64,
    max_length: int | None = None,
    trust_remote_code: bool = False,
) -> np.ndarray:
    """`Student.predict` of a student that is needed once; what is raised: see there and `load_student`.

    Students of one encoder that are asked for the same texts in one process share their tokens.
    """
    return load_student(folder, device, max_length, trust_remote_code).predict(texts, batch_size, tokens_digest(folder))


def tokens_digest(folder: Path) -> str:
    """Checksum of the files in a student's folder that may shape its tokens; files that differ between seeds are left out."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        if path.suffix not in (".safetensors", ".md") and path.name != "meta.json":
            digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _check_classifier(folder: Path, model: PreTrainedModel, missing: Sequence[str]) -> None:
    config = model.config
    if missing:  # transformers would fill them with random numbers
        raise TrainingError(
            f"{folder} holds no trained classifier: its weights lack {', '.join(missing[:3])}; give the folder of a student or of a"
            " model trained for sequence classification, not of an encoder"
        )
    if config.problem_type == "multi_label_classification":
        raise TrainingError(f"{folder} gives a text several labels (problem_type in its config.json), and here it is one or a number")
    if config.num_labels == 1 and config.problem_type != "regression":
        raise TrainingError(
            f'{folder} has one output and doesn\'t say what it means: where it is a number, write "problem_type": "regression" into'
            " its config.json"
        )


def _max_length(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokenizers that state no limit give a huge number; then the encoder's own counts."""
    positions = getattr(model.config, "max_position_embeddings", None)
    return min(tokenizer.model_max_length, positions) if isinstance(positions, int) else tokenizer.model_max_length
