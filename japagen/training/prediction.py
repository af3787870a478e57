"""What a trained student says of texts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel

from japagen.errors import TrainingError
from japagen.training.batches import by_length
from japagen.training.classifier import probabilities
from japagen.training.encoding import encode, padding_of
from japagen.training.pretrained import choose_device, quiet


def predict(
    folder: Path,
    texts: Sequence[tuple[str, ...]],
    device: str = "auto",
    batch_size: int = 64,
    max_length: int | None = None,
    trust_remote_code: bool = False,
) -> np.ndarray:
    """Probabilities (N, C) float32 in the folder's label order, or values (N, 1) float32 for regression, in the texts' order.

    folder: what `train_student` wrote, or any Hugging Face classifier. max_length: tokens a text is cut to; none: as in
    training. Values are clipped to the range of the task's levels. Raises TrainingError where the folder can't be loaded or
    the device can't be had.
    """
    device = choose_device(device)
    with quiet(), torch.inference_mode():
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
            model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32, trust_remote_code=trust_remote_code)
        except (ImportError, OSError, ValueError, KeyError) as error:
            raise TrainingError(f"the student in {folder} can't be loaded: {' '.join(str(error).split())[:500]}") from error
        model = model.eval().to(device)
        encoded = encode(tokenizer, texts, tokenizer.model_max_length if max_length is None else max_length)
        padding = padding_of(tokenizer)
        logits = np.zeros((len(texts), model.config.num_labels), dtype=np.float32)
        for places in by_length(encoded.lengths, batch_size):
            inputs = {name: ids.to(device) for name, ids in padding([encoded.rows[place] for place in places]).items()}
            logits[places] = model(**inputs).logits.float().cpu().numpy()
    return _outputs(model, logits)


def _outputs(model: PreTrainedModel, logits: np.ndarray) -> np.ndarray:
    if model.config.problem_type != "regression":
        return probabilities(logits)
    low, high = getattr(model.config, "score_range", (-np.inf, np.inf))
    return logits.clip(low, high)
