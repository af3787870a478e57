"""A student: an encoder trained on labelled rows, as a Hugging Face folder that needs nothing of ours.

In: rows (synthetic or gold), validation rows of the same source, an encoder. Out: weights, tokenizer and config in `out`.
The best weights are chosen on `valid` only; nothing here ever sees the rows that are scored.
"""

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.utilities.exceptions import SIGTERMException
from transformers import set_seed

from japagen.config.schema import Encoder, Train
from japagen.errors import TrainingError
from japagen.evaluation.metrics import decide
from japagen.tasks import Example, Task, example_to_json
from japagen.training.batches import Schedule, unvalidated, validated
from japagen.training.classifier import Classifier, Part, TrainingData
from japagen.training.encoding import encode_once, padding_of
from japagen.training.ensemble import Ensemble
from japagen.training.limits import max_length_of
from japagen.training.losses import to_targets, to_weights
from japagen.training.prediction import Student
from japagen.training.pretrained import choose_device, load, quiet, to_task_scale
from japagen.training.progress import OnMetrics, Progress, Selection, WholeFiles, is_readable
from japagen.training.vocabulary import Vocabulary

Precision = Literal["32-true", "bf16-mixed"]
"""Lightning's names."""


@dataclass(frozen=True)
class Fit:
    """How a training went."""

    best_step: int
    """Optimiser steps after which the weights were those kept."""
    best_score: float | None
    """The task's metric on the validation rows then; None where nothing was selected or it had no value."""
    num_steps: int
    """Optimiser steps done."""
    seconds: float
    """Training and validating, over all parts of an interrupted run."""
    samples: int
    """Rows trained on, each as often as it came."""
    history: tuple[dict[str, float], ...]
    """One entry a validation: step, train/loss, train/learning_rate, valid/loss, valid/<metric>; with ensembling train/kept."""
    truncated: int
    """Training rows cut at `max_length`."""
    max_length: int
    """Tokens a text (or pair) was cut to."""
    valid_predictions: tuple[Any, ...]
    """The kept weights' prediction for each validation row."""


def train_student(
    task: Task,
    encoder: Encoder,
    encoder_path: str,
    revision: str | None,
    train: Train,
    rows: Sequence[Example],
    valid: Sequence[Example],
    seed: int,
    out: Path,
    work: Path,
    on_metrics: OnMetrics | None = None,
    device: str = "auto",
) -> Fit:
    """Trains `encoder` on `rows` and writes the student's folder into `out`.

    All arms train alike: max(epochs x batches, train.min_steps) optimiser steps, or exactly `train.steps`. With `valid` the best weights
    are kept, and training may stop early, but not before min_steps and never where `train.steps` is set.
    `work` keeps checkpoints: an interrupted run resumes at its last validation, and ends with the same weights (bitwise on the CPU); the
    caller deletes it. A trained regression's outputs are on the task's own scale.
    Rows may have soft labels (`Example.probs`) and weights; `losses` and `ensemble` use them.
    on_metrics: called with train/loss and train/learning_rate each few steps (with temporal ensembling also train/kept, the
    share of rows that count), and with valid/… after each validation.
    Raises TrainingError for rows or settings that can't train, missing packages or files, and a device that is not available.
    """
    _check_rows(task, rows, valid)
    _check_settings(task, train)
    targets, weights = to_targets(task, rows), to_weights(task, rows)
    valid_targets, valid_weights = to_targets(task, valid), to_weights(task, valid)
    device = choose_device(device)
    work.mkdir(parents=True, exist_ok=True)
    run = _fingerprint(task, encoder, revision, train, rows, valid, seed)
    with quiet():
        set_seed(seed)
        model, tokenizer, max_length = load(task, encoder, encoder_path, revision)
        source = repr((encoder_path, revision, encoder.trust_remote_code, encoder.word_splitter))
        encoded, encoded_valid = (encode_once(source, tokenizer, [row.texts for row in part], max_length) for part in (rows, valid))
        schedule = (validated if valid else unvalidated)(encoded.lengths, train, seed)
        ensemble = _ensemble(task, train, targets, weights)
        padding = padding_of(tokenizer)
        vocabulary = Vocabulary(model, (encoded, encoded_valid), (padding.input_ids,))
        module = Classifier(model, task, train, schedule.num_steps, seed, valid, ensemble)
        parts = Part(encoded, targets, weights), Part(encoded_valid, valid_targets, valid_weights)
        data = TrainingData(*parts, schedule, padding)
        progress = Progress(on_metrics)
        least = schedule.num_steps if train.steps else train.min_steps
        selection = Selection(work, run, task.metric, train.patience, least, schedule.num_steps)
        trainer = _trainer(encoder, device, schedule, bool(valid), work, [progress, selection])
        _fit(trainer, module, data, selection)
        num_steps = trainer.global_step
        if valid:
            model.load_state_dict(torch.load(selection.best(selection.step), map_location=model.device, weights_only=True))
        best_step = selection.step if valid else num_steps
        vocabulary.put_back(model, module.decay(best_step))
        if task.is_regression:
            to_task_scale(model)
        tokenizer.model_max_length = max_length  # whoever uses the folder then cuts texts as training did
        model.save_pretrained(out)
        tokenizer.save_pretrained(out)
        student = Student(model, tokenizer, device, max_length)
        predicted = tuple(decide(task, student.predict([row.texts for row in valid], source=source))) if valid else ()
    history = tuple(progress.history)
    return Fit(best_step, selection.score, num_steps, progress.seconds, progress.samples, history, encoded.truncated, max_length, predicted)


def _check_rows(task: Task, rows: Sequence[Example], valid: Sequence[Example]) -> None:
    unknown = sorted({row.label for row in (*rows, *valid)} - set(task.label_names))
    if unknown:
        raise TrainingError(f"task {task.name!r}: training rows are labelled {unknown[0]!r}; labels: {', '.join(task.label_names)}")
    counts = Counter(row.label for row in rows)
    shown = ", ".join(f"{name}: {counts[name]}" for name in task.label_names)
    cure = "ask for more texts (num_per_label), or look at rejects.jsonl in the data set"
    if len(rows) < 2:
        raise TrainingError(f"task {task.name!r}: {len(rows)} training row(s) ({shown}); a student needs 2 or more: {cure}")
    if not task.is_regression and len(counts) < 2:
        raise TrainingError(f"task {task.name!r}: all {len(rows)} training rows have one label ({shown}); a student needs 2 labels: {cure}")


def _check_settings(task: Task, train: Train) -> None:
    if train.ensemble_momentum and task.is_regression:
        raise TrainingError(
            f"train.ensemble_momentum={train.ensemble_momentum} is for classification, and task {task.name!r} is a regression;"
            " set train.ensemble_momentum=0"
        )


def _ensemble(task: Task, train: Train, targets: np.ndarray, weights: np.ndarray | None) -> Ensemble | None:
    if not train.ensemble_momentum:
        return None
    return Ensemble(targets, weights, len(task.labels), train.ensemble_momentum, train.ensemble_threshold)


def choose_precision(encoder: Encoder, device: str) -> Precision:
    """bf16 on GPUs that have it, unless the encoder fails under it."""
    is_bf16 = device == "cuda" and encoder.bf16 and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16-mixed" if is_bf16 else "32-true"


def _trainer(encoder: Encoder, device: str, schedule: Schedule, is_validated: bool, work: Path, callbacks: list[pl.Callback]) -> pl.Trainer:
    """One device, no logs of Lightning's own. Its environment is named, or a SLURM job would be taken for one to requeue."""
    return pl.Trainer(
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=1,
        precision=choose_precision(encoder, device),
        deterministic="warn" if device == "cpu" else False,
        max_epochs=len(schedule.ends),
        reload_dataloaders_every_n_epochs=1,
        limit_val_batches=1.0 if is_validated else 0,
        num_sanity_val_steps=0,
        gradient_clip_val=1.0,
        callbacks=callbacks,
        plugins=[LightningEnvironment(), WholeFiles()],
        default_root_dir=work,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=sys.stdout.isatty() and sys.stderr.isatty(),
        use_distributed_sampler=False,
    )


def _fit(trainer: pl.Trainer, module: Classifier, data: TrainingData, selection: Selection) -> None:
    """Trains, from the run's checkpoint where there is one. Lightning ends an interrupted process with codes that don't say so."""
    checkpoint = selection.checkpoint if is_readable(selection.checkpoint) else None
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        if trainer.received_sigterm:  # after the last batch Lightning doesn't look any more
            raise SIGTERMException
    except torch.OutOfMemoryError as error:
        reason = str(error).split(". ")[0]
        raise TrainingError(f"the GPU's memory is too small: {reason}; lower train.batch_size or model.max_length") from error
    except SIGTERMException:
        raise SystemExit(128 + 15) from None
    except SystemExit as end:
        if isinstance(end.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise


def _fingerprint(
    task: Task, encoder: Encoder, revision: str | None, train: Train, rows: Sequence[Example], valid: Sequence[Example], seed: int
) -> str:
    """Checksum of all inputs that shape the weights: a checkpoint of another run must not be resumed."""
    labels = [(label.name, label.score) for label in task.labels]
    settings = {name: value for name, value in asdict(train).items() if name not in {"keep", *_off(train)}}
    parts = [task.target, task.metric, labels, encoder.id, revision, max_length_of(encoder, task), encoder.bf16, settings, seed, len(rows)]
    parts += [encoder.word_splitter] if encoder.word_splitter else []
    digest = hashlib.sha256(json.dumps(parts).encode())
    for row in (*rows, *valid):
        digest.update(json.dumps(example_to_json(row)).encode())
    return digest.hexdigest()[:32]


def _off(train: Train) -> set[str]:
    """Options that do nothing at these values: they leave a run what it was before there were such options."""
    ensembling = set() if train.ensemble_momentum else {"ensemble_momentum", "ensemble_threshold"}
    return ensembling if train.robust_q else {*ensembling, "robust_q"}
