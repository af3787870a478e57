"""The student as Lightning sees it: loss, optimiser, validation; and the rows as its batches.

Every random draw while training (dropout) comes from a generator seeded by (seed, step), so a resumed training draws what
an undisturbed one draws.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch.nn import functional
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, get_linear_schedule_with_warmup

from japagen.config.schema import Train
from japagen.evaluation.metrics import decide, score
from japagen.tasks import Example, Task
from japagen.training.batches import Schedule, by_length
from japagen.training.encoding import Encoded, Padding
from japagen.training.ensemble import Ensemble
from japagen.training.losses import generalised_cross_entropy
from japagen.training.outputs import to_outputs

Batch = dict[str, Any]
"""`inputs`: the model's, each (B, T) int64; `targets`: (B,) int64 classes or float32 scores, or (B, C) float32 soft labels;
`weights`: (B,) float32, or None where all rows count the same; `indices`: (B,) int64 row numbers."""


@dataclass
class Validation:
    """What the last validation found."""

    loss: float
    scores: dict[str, float | None]
    """Every metric of the task's target; None where it has no value."""


class Classifier(pl.LightningModule):
    """An encoder with a head for `task`; `num_steps` in all shape the learning rate's course."""

    def __init__(
        self,
        model: PreTrainedModel,
        task: Task,
        train: Train,
        num_steps: int,
        seed: int,
        valid: Sequence[Example],
        ensemble: Ensemble | None = None,
    ) -> None:
        super().__init__()
        self.model = model.train()  # from_pretrained gives it in evaluation mode, and Lightning (2.2 and later) leaves it so
        self.task, self.train_settings, self.num_steps, self.seed, self.valid = task, train, num_steps, seed, valid
        self.ensemble = ensemble
        self.validation: Validation | None = None
        self._seen: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def forward(self, batch: Batch) -> torch.Tensor:
        """logits: (B, C) float32; for regression (B, 1), 0 to 1."""
        return self.model(**batch["inputs"]).logits.float()

    def loss(
        self,
        logits: torch.Tensor,
        targets: torch.Tensor,
        weights: torch.Tensor | None = None,
        label_smoothing: float = 0.0,
        robust_q: float = 0.0,
    ) -> torch.Tensor:
        """() float32, weighted mean: (generalised) cross entropy, or the squared error of scores scaled to 0..1.

        weights: (B,), see `to_weights`; none: 1 each. Smoothing and robust_q are classification's.
        """
        reduction = "mean" if weights is None else "none"
        if self.task.is_regression:
            losses = functional.mse_loss(logits[:, 0], targets, reduction=reduction)
        elif robust_q:
            losses = generalised_cross_entropy(logits, targets, robust_q, label_smoothing)
        else:
            losses = functional.cross_entropy(logits, targets, label_smoothing=label_smoothing, reduction=reduction)
        return (losses if weights is None else losses * weights).mean()

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        if self.ensemble is not None:
            rows: TrainingData = self.trainer.datamodule  # type: ignore[attr-defined]
            if self.global_step and self.global_step % rows.schedule.steps_per_epoch == 0:
                self.ensemble.update(self._predict_training_rows(rows))
        torch.manual_seed(int(np.random.SeedSequence([self.seed, self.global_step]).generate_state(1)[0]))

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        logits, settings = self(batch), self.train_settings
        weights = batch["weights"] if self.ensemble is None else self.ensemble.weights[batch["indices"]]
        loss = self.loss(logits, batch["targets"], weights, settings.label_smoothing, settings.robust_q)
        if self.ensemble is not None:
            loss = loss + (weights * self.ensemble.penalties(logits, batch["indices"])).mean()
        return loss

    @torch.no_grad()
    def _predict_training_rows(self, rows: "TrainingData") -> torch.Tensor:
        """(N, C) float32 probabilities, without dropout, in the training's precision."""
        found: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.model.eval()
        with self.trainer.precision_plugin.forward_context():
            for batch in rows.all_train_dataloader():
                inputs = {name: ids.to(self.device) for name, ids in batch["inputs"].items()}
                found.append((self({"inputs": inputs}).softmax(dim=1), batch["indices"].to(self.device)))
        self.model.train()
        predicted, indices = (torch.cat(part) for part in zip(*found, strict=True))
        return predicted[indices.argsort()]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """The loss is plain cross entropy (or the squared error), weighted, whatever training's options; scores are unweighted."""
        logits = self(batch)
        self._seen.append((logits, batch["indices"], self.loss(logits, batch["targets"], batch["weights"]) * len(logits)))

    def on_validation_epoch_end(self) -> None:
        logits, indices = (torch.cat([seen[part] for seen in self._seen]) for part in (0, 1))
        loss = torch.stack([seen[2] for seen in self._seen]).sum() / len(indices)
        self._seen.clear()
        outputs = to_outputs(self.task, logits[indices.argsort()].cpu().numpy())
        scores = score(self.task, self.valid, decide(self.task, outputs)) if np.isfinite(outputs).all() else {}
        self.validation = Validation(float(loss), scores)

    def configure_optimizers(self) -> Any:
        """AdamW, no decay on biases and norms (parameters of one dimension); linear warm-up, then linear decay to 0.

        On the CPU the fused kernel: the others pass over every parameter a dozen times a step.
        """
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        groups = [
            {"params": [parameter for parameter in parameters if parameter.ndim > 1], "weight_decay": self.train_settings.weight_decay},
            {"params": [parameter for parameter in parameters if parameter.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=self.train_settings.learning_rate, fused=self.device.type == "cpu" or None)
        warmup = round(self.train_settings.warmup_ratio * self.num_steps)
        scheduler = get_linear_schedule_with_warmup(optimizer, warmup, self.num_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def decay(self, num_steps: int) -> float:
        """The factor by which weight decay alone has scaled a matrix after so many optimiser steps of a fit."""
        settings, rate = self.train_settings, self.lr_schedulers().lr_lambdas[0]  # type: ignore[union-attr]
        return math.prod(1 - settings.learning_rate * rate(step) * settings.weight_decay for step in range(num_steps))


@dataclass(frozen=True)
class Part:
    """Labelled rows as numbers."""

    encoded: Encoded
    targets: np.ndarray
    """See `to_targets`."""
    weights: np.ndarray | None
    """See `to_weights`."""


class TrainingData(pl.LightningDataModule):
    """Training rows in the schedule's order, validation rows by length."""

    def __init__(self, train: Part, valid: Part, schedule: Schedule, padding: Padding) -> None:
        super().__init__()
        self.train, self.valid, self.schedule, self.padding = train, valid, schedule, padding

    def train_dataloader(self) -> DataLoader:
        """The stretch that comes next: asked for anew before each."""
        step = self.trainer.global_step if self.trainer is not None else 0
        return self._loader(self.train, self.schedule.following(step))

    def all_train_dataloader(self) -> DataLoader:
        """Every training row once, by length: for predictions."""
        return self._loader(self.train, by_length(self.train.encoded.lengths, 2 * self.schedule.batch_size))

    def val_dataloader(self) -> DataLoader:
        return self._loader(self.valid, by_length(self.valid.encoded.lengths, 2 * self.schedule.batch_size))

    def _loader(self, part: Part, batches: list[list[int]]) -> DataLoader:
        def collate(indices: list[int]) -> Batch:
            return {
                "inputs": self.padding([part.encoded.rows[index] for index in indices]),
                "targets": torch.from_numpy(part.targets[indices]),
                "weights": None if part.weights is None else torch.from_numpy(part.weights[indices]),
                "indices": torch.tensor(indices),
            }

        return DataLoader(
            range(len(part.encoded.rows)),  # type: ignore[arg-type]
            batch_sampler=batches,
            collate_fn=collate,
        )
