"""The student as Lightning sees it: loss, optimiser, validation; and the rows as its batches.

Every random draw while training (dropout) comes from a generator seeded by (seed, step), so a resumed training draws what
an undisturbed one draws.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch.nn import functional
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, get_linear_schedule_with_warmup

from japagen.config import Train
from japagen.evaluation import decide, gold_value, score
from japagen.tasks import Example, Task
from japagen.training.batches import Schedule, by_length
from japagen.training.encoding import Encoded, Padding

Batch = dict[str, Any]
"""`inputs`: the model's, each (B, T) int64; `targets`: (B,) int64 classes or float32 scores; `places`: (B,) int64 row numbers."""


@dataclass
class Validation:
    """What the last validation found."""

    loss: float
    scores: dict[str, float | None]
    """Every metric of the task's target; None where it has no value."""


class Classifier(pl.LightningModule):
    """An encoder with a head for `task`; `num_steps` in all shape the learning rate's course."""

    def __init__(self, model: PreTrainedModel, task: Task, train: Train, num_steps: int, seed: int, valid: Sequence[Example]) -> None:
        super().__init__()
        self.model = model.train()  # from_pretrained gives it in evaluation mode, and Lightning (2.2 and later) leaves it so
        self.task, self.train_settings, self.num_steps, self.seed, self.valid = task, train, num_steps, seed, valid
        self.validation: Validation | None = None
        self._seen: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def forward(self, batch: Batch) -> torch.Tensor:
        """logits: (B, C) float32; for regression (B, 1), 0 to 1."""
        return self.model(**batch["inputs"]).logits.float()

    def loss(self, logits: torch.Tensor, targets: torch.Tensor, label_smoothing: float = 0.0) -> torch.Tensor:
        """() float32: cross entropy, or the squared error of scores scaled to 0..1."""
        if self.task.is_regression:
            return functional.mse_loss(logits[:, 0], targets)
        return functional.cross_entropy(logits, targets, label_smoothing=label_smoothing)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        torch.manual_seed(int(np.random.SeedSequence([self.seed, self.global_step]).generate_state(1)[0]))

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        return self.loss(self(batch), batch["targets"], self.train_settings.label_smoothing)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        logits = self(batch)
        self._seen.append((logits, batch["places"], self.loss(logits, batch["targets"]) * len(logits)))

    def on_validation_epoch_end(self) -> None:
        logits, places = (torch.cat([seen[part] for seen in self._seen]) for part in (0, 1))
        loss = torch.stack([seen[2] for seen in self._seen]).sum() / len(places)
        self._seen.clear()
        outputs = to_outputs(self.task, logits[places.argsort()].cpu().numpy())
        scores = score(self.task, self.valid, decide(self.task, outputs)) if np.isfinite(outputs).all() else {}
        self.validation = Validation(float(loss), scores)

    def configure_optimizers(self) -> Any:
        """AdamW, no decay on biases and norms (parameters of one dimension); linear warm-up, then linear decay to 0."""
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        groups = [
            {"params": [parameter for parameter in parameters if parameter.ndim > 1], "weight_decay": self.train_settings.weight_decay},
            {"params": [parameter for parameter in parameters if parameter.ndim <= 1], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.AdamW(groups, lr=self.train_settings.learning_rate)
        warmup = round(self.train_settings.warmup_ratio * self.num_steps)
        scheduler = get_linear_schedule_with_warmup(optimizer, warmup, self.num_steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class Rows(pl.LightningDataModule):
    """Training rows in the schedule's order, validation rows by length."""

    def __init__(
        self, train: Encoded, train_targets: np.ndarray, valid: Encoded, valid_targets: np.ndarray, schedule: Schedule, padding: Padding
    ) -> None:
        super().__init__()
        self.train, self.train_targets, self.valid, self.valid_targets = train, train_targets, valid, valid_targets
        self.schedule, self.padding = schedule, padding

    def train_dataloader(self) -> DataLoader:
        """The stretch that comes next: asked for anew before each."""
        step = self.trainer.global_step if self.trainer is not None else 0
        return self._loader(self.train, self.train_targets, self.schedule.following(step))

    def val_dataloader(self) -> DataLoader:
        return self._loader(self.valid, self.valid_targets, by_length(self.valid.lengths, 2 * self.schedule.batch_size))

    def _loader(self, encoded: Encoded, targets: np.ndarray, batches: list[list[int]]) -> DataLoader:
        def collate(places: list[int]) -> Batch:
            inputs = self.padding([encoded.rows[place] for place in places])
            return {"inputs": inputs, "targets": torch.from_numpy(targets[places]), "places": torch.tensor(places)}

        return DataLoader(
            range(len(encoded.rows)),  # type: ignore[arg-type]
            batch_sampler=batches,
            collate_fn=collate,
        )


def to_targets(task: Task, examples: Sequence[Example]) -> np.ndarray:
    """(N,) int64 places in the task's labels; for regression (N,) float32 scores, the levels' range scaled to 0..1."""
    if not task.is_regression:
        return np.array([task.label_names.index(example.label) for example in examples], dtype=np.int64)
    levels = task.label_scores()
    scores = np.array([gold_value(task, example) for example in examples], dtype=np.float32)
    return (scores - min(levels)) / (max(levels) - min(levels))


def to_outputs(task: Task, logits: np.ndarray) -> np.ndarray:
    """logits (N, C) of training -> probabilities (N, C), or values on the task's scale (N, 1)."""
    if not task.is_regression:
        return probabilities(logits)
    low, high = min(task.label_scores()), max(task.label_scores())
    return (low + (high - low) * logits).clip(low, high)


def probabilities(logits: np.ndarray) -> np.ndarray:
    """(N, C) float32 -> (N, C) float32, rows summing to 1."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (shifted / shifted.sum(axis=1, keepdims=True)).astype(np.float32)
