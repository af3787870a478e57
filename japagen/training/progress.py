"""The work beside the gradient steps: metrics are reported, the best weights kept, training stopped early, checkpoints written.

`work` holds two kinds of file, each written under a temporary name and renamed: `<run>.ckpt`, Lightning's state at the end of the
last stretch, and `<run>-best-<step>.pt`, the best weights so far. The weights that a checkpoint refers to are deleted only
once a newer checkpoint is written, so a kill at any moment leaves a matching pair. `<run>` is the run's fingerprint: files of
another run are not even looked at. Nothing in them needs pickle beyond torch's own `weights_only` types.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from japagen.errors import TrainingError
from japagen.training.classifier import Batch, Classifier, Validation

OnMetrics = Callable[[dict[str, float], int], None]
"""Called with {name: value} and the number of optimiser steps done."""

_STEPS_PER_REPORT = 10


def write(state: dict[str, Any], path: Path) -> None:
    """torch.save through a temporary sibling: whoever reads `path` sees the old file or the new one, whole."""
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("wb") as file:  # given a path, torch doesn't say why it couldn't write
        try:
            torch.save(state, file)
        except RuntimeError as error:
            if (interruption := _interruption(error)) is not None:
                raise interruption from None
            raise
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _interruption(error: BaseException) -> BaseException | None:
    """The Ctrl-C or signal that cut a file short: torch, closing the file, raises an error of its own over it."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, KeyboardInterrupt | SystemExit):
        cause = cause.__context__
    return cause


def is_readable(path: Path) -> bool:
    """Whether `write` wrote the file, whole; its tensors aren't looked at."""
    try:
        torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception:  # torch has many for a file that isn't there, or isn't whole
        return False
    return True


class WholeFiles(TorchCheckpointIO):
    """Lightning's own goes through the system's /tmp, which may be small, and is no rename from there to another disk."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        write(checkpoint, Path(path))


class Progress(pl.Callback):
    """Tells losses, learning rate and validation scores; counts rows and seconds over all parts of an interrupted run."""

    def __init__(self, on_metrics: OnMetrics | None) -> None:
        self.samples = 0
        self.seconds = 0.0
        self.history: list[dict[str, float]] = []
        self._on_metrics = on_metrics
        self._losses: list[torch.Tensor] = []
        self._since = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"samples": self.samples, "seconds": self.seconds, "history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.samples, self.seconds, self.history = state_dict["samples"], state_dict["seconds"], state_dict["history"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._since = time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int) -> None:
        self.samples += len(batch["indices"])
        self._losses.append(outputs["loss"].detach())
        if trainer.global_step % _STEPS_PER_REPORT == 0:
            self._tell(self._training(trainer, pl_module, self._losses[-_STEPS_PER_REPORT:]), trainer.global_step)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = self._training(trainer, pl_module, self._losses)
        if isinstance(pl_module, Classifier) and pl_module.validation is not None:
            found = _named(pl_module.validation)
            _check_finite("validation", found["valid/loss"], trainer.global_step)
            self._tell(found, trainer.global_step)
            metrics |= found
        self.history.append({"step": trainer.global_step, **metrics})
        self._losses.clear()
        now = time.monotonic()
        self.seconds, self._since = self.seconds + now - self._since, now

    def _tell(self, metrics: dict[str, float], step: int) -> None:
        if self._on_metrics is not None:
            self._on_metrics(metrics, step)

    def _training(self, trainer: pl.Trainer, module: pl.LightningModule, losses: list[torch.Tensor]) -> dict[str, float]:
        """Mean of `losses`, the next step's learning rate and, with temporal ensembling, the share of rows that count."""
        loss = float(torch.stack(losses).float().mean())
        _check_finite("training", loss, trainer.global_step)
        kept = {"train/kept": module.ensemble.kept} if isinstance(module, Classifier) and module.ensemble is not None else {}
        return {"train/loss": loss, "train/learning_rate": float(trainer.optimizers[0].param_groups[0]["lr"]), **kept}


class Selection(pl.Callback):
    """Keeps the weights that validate best, stops when no better come, and writes a checkpoint after each stretch.

    Training doesn't stop before `least_steps`, so that arms with few rows are trained as long as others. Better is a higher primary
    metric; at equal metrics (also when it has no value) a lower validation loss.
    """

    def __init__(self, work: Path, run: str, metric: str, patience: int, least_steps: int, num_steps: int) -> None:
        self.step = 0
        self.score: float | None = None
        self._work, self._run, self._metric, self._patience = work, run, metric, patience
        self._least_steps, self._num_steps = least_steps, num_steps
        self._rank: tuple[float, float] | None = None
        self._waited = 0

    @property
    def checkpoint(self) -> Path:
        return self._work / f"{self._run}.ckpt"

    def best(self, step: int) -> Path:
        """The file of the weights after `step` steps."""
        return self._work / f"{self._run}-best-{step}.pt"

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "score": self.score, "rank": self._rank, "waited": self._waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.step, self.score, self._waited = state_dict["step"], state_dict["score"], state_dict["waited"]
        self._rank = None if state_dict["rank"] is None else tuple(state_dict["rank"])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if isinstance(pl_module, Classifier) and pl_module.validation is not None:
            self._judge(trainer, pl_module, pl_module.validation)
        if trainer.should_stop or trainer.global_step >= self._num_steps:
            return
        trainer.save_checkpoint(self.checkpoint)
        for path in self._work.glob(f"{self._run}-best-*.pt"):
            if path != self.best(self.step):
                path.unlink(missing_ok=True)

    def _judge(self, trainer: pl.Trainer, module: Classifier, found: Validation) -> None:
        score = found.scores.get(self._metric)
        rank = (-np.inf if score is None else score, -found.loss)
        if self._rank is None or rank > self._rank:
            self.step, self.score, self._rank, self._waited = trainer.global_step, score, rank, 0
            write(module.model.state_dict(), self.best(self.step))
            return
        self._waited += 1
        trainer.should_stop = self._waited >= self._patience and trainer.global_step >= self._least_steps


def _check_finite(name: str, loss: float, step: int) -> None:
    """Raises TrainingError where training has diverged."""
    if not np.isfinite(loss):
        raise TrainingError(
            f"the {name} loss is {loss} after {step} steps; lower train.learning_rate, raise train.warmup_ratio,"
            " or, for an encoder that fails in bf16, set model.bf16=false"
        )


def _named(found: Validation) -> dict[str, float]:
    return {"valid/loss": found.loss} | {f"valid/{name}": value for name, value in found.scores.items() if value is not None}
