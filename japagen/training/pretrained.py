"""The encoder as it is published -> a model with a fresh head, and its tokenizer; the device both run on.

Everything that can be missing here (a tokenizer's own packages, a GPU build of torch, a folder) is reported with its cure.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from japagen.config.schema import Encoder
from japagen.errors import TrainingError
from japagen.tasks import Task
from japagen.training.encoding import needs_words
from japagen.training.limits import fitting_length, max_length_of


def choose_device(device: str) -> str:
    """'cpu' or 'cuda' for auto, cpu or cuda; TrainingError where cuda is asked for and not available."""
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    if torch.version.cuda is None:
        found = f"this torch ({torch.__version__}) is a CPU build: install the GPU build with `make install ACCEL=cuda`"
    else:
        found = (
            f"torch {torch.__version__} sees no GPU: look at nvidia-smi and CUDA_VISIBLE_DEVICES; if the driver is too old for"
            f" CUDA {torch.version.cuda}, update it or set up again with `make install ACCEL=cuda`"
        )
    raise TrainingError(f"device={device!r} can't be used, since {found}; or set device=cpu")


def load(task: Task, encoder: Encoder, path: str, revision: str | None) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, int]:
    """The encoder in float32 with a new head for `task`, drawn from torch's generator, its tokenizer, and the tokens that texts are cut to.

    The config names the labels; a regression's head has one output, and its config's `score_range` is the levels' range.
    Raises TrainingError where something can't be loaded, ConfigError where the encoder can't take `encoder.max_length` tokens.
    """
    source: dict[str, Any] = {"trust_remote_code": encoder.trust_remote_code}
    if revision is not None and not Path(path).is_dir():  # a folder's revision is its checksum, which transformers doesn't know
        source["revision"] = revision
    part = "tokenizer"
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, **source)
        part = "model"
        config = AutoConfig.from_pretrained(path, **source)
        config.update(_head(task))
        options = {"config": config, "dtype": torch.float32, "ignore_mismatched_sizes": True}
        model = AutoModelForSequenceClassification.from_pretrained(path, **options, **source)
    except (ImportError, OSError, ValueError, KeyError) as error:
        raise TrainingError(_failure(encoder, part, error)) from error
    limits = [getattr(model.config, "max_position_embeddings", None), tokenizer.model_max_length]
    max_length = fitting_length(encoder, max_length_of(encoder, task), limits)
    _tell_inputs(model, tokenizer)
    if encoder.word_splitter:
        needs_words(tokenizer, encoder.word_splitter)
    if task.is_regression and _scoring_layer(model) is None:
        raise TrainingError(f"model={encoder.name!r} has no scoring layer with a bias, so it can't learn a regression; choose another")
    return model, tokenizer, max_length


def to_task_scale(model: PreTrainedModel) -> None:
    """Scales a trained regression's last layer, so that its outputs are on the task's scale and no longer 0 to 1."""
    low, high = model.config.score_range
    layer = _scoring_layer(model)
    assert layer is not None
    with torch.no_grad():
        layer.weight.mul_(high - low)
        layer.bias.mul_(high - low).add_(low)


def _scoring_layer(model: PreTrainedModel) -> nn.Linear | None:
    layers = [module for module in model.modules() if isinstance(module, nn.Linear) and module.out_features == 1]
    return layers[-1] if layers and layers[-1].bias is not None else None


def _tell_inputs(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Segment ids exactly for models that know two segments; kept by save_pretrained, so for whoever loads the student too.

    BertJapaneseTokenizer leaves them out in transformers 5.19, and the model would take a pair for one text.
    """
    segments = ["token_type_ids"] if (getattr(model.config, "type_vocab_size", None) or 0) > 1 else []
    names = ["input_ids", *segments, "attention_mask"]
    tokenizer.model_input_names = tokenizer.init_kwargs["model_input_names"] = names


def _head(task: Task) -> dict[str, Any]:
    """For config.json; `japagen` says what the texts are called and how they were cut, for those who predict."""
    texts = {"japagen": {"fields": list(task.fields), "gold_chars": task.gold_chars}}
    if task.is_regression:
        levels = task.label_scores()
        return texts | {"num_labels": 1, "problem_type": "regression", "score_range": [min(levels), max(levels)]}
    names = dict(enumerate(task.label_names))
    return texts | {
        "num_labels": len(names),
        "id2label": names,
        "label2id": {name: index for index, name in names.items()},
        "problem_type": "single_label_classification",
    }


def _failure(encoder: Encoder, part: str, error: Exception) -> str:
    reason = " ".join(str(error).split())[:500] or type(error).__name__
    if "trust_remote_code" in reason:
        cure = "if you trust the code in that repository, set model.trust_remote_code=true"
    elif isinstance(error, ImportError):
        cure = "install the package named (fugashi needs unidic-lite beside it) into this environment, or choose another encoder"
    else:
        cure = "check model.id and model.revision; without internet on this machine, bring it into the cache (HF_HOME) where there is"
    return f"model={encoder.name!r}: the {part} of {encoder.id!r} can't be loaded: {reason}; {cure}"


@contextmanager
def memory_is_enough() -> Iterator[None]:
    """Raises TrainingError, with the cure, in place of torch's error where a GPU's memory is too small."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        reason = str(error).split(". ")[0]
        raise TrainingError(f"the GPU's memory is too small: {reason}; free some of it, or take the CPU (device=cpu)") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Silences what transformers and Lightning say of themselves (tips, tables, loading bars), not errors."""
    lightning = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric", "pytorch_lightning.utilities.rank_zero")]
    levels = [logger.level for logger in lightning]
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in lightning:
            logger.setLevel(logging.ERROR)
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        try:
            yield
        finally:
            for logger, level in zip(lightning, levels, strict=True):
                logger.setLevel(level)
            transformers_logging.set_verbosity(verbosity)
            if bars:
                transformers_logging.enable_progress_bar()
