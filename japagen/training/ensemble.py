"""Temporal ensembling against wrong labels: what the student said of each training row after each epoch, averaged.

Laine and Aila 2017 (temporal ensembling), used on an LLM's texts by SuperGen (Meng et al. 2022). After each epoch but the last
all training rows are predicted, without dropout. From then on (1) rows whose mean gives their label too little are left out, and
(2) the others are also pulled towards their mean. The forward pass costs about a third of an epoch's time. The training steps'
own predictions would cost nothing, but the rows that came first were then predicted by a student that knew nothing yet, and with
few epochs would be left out for that alone.

Where we differ from SuperGen: it predicts every 100 steps, and draws the next 100 batches from the rows that count; here
the rows that don't count stay in their batches with weight 0, so the order of rows is the same with and without.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional

_PENALTY, _RAMP = 10.0, 10
"""The pull's full weight, and after how many predictions of all rows it is reached: SuperGen's reg_weight, temp_ensemble_rampup."""
_FEWEST = 16
"""Least number of rows of a label above the threshold: with fewer, its likelier half counts too, as in SuperGen, so no label is lost."""


class Ensemble(nn.Module):
    """The mean prediction of each training row, and what follows from it. Its buffers are part of Lightning's checkpoint.

    targets, weights: of `to_targets` and `to_weights` for the training rows, a classification's. threshold: rows count while
    the mean gives their label at least this; for soft labels, at least this part of what the likeliest label has there.
    """

    mean: torch.Tensor
    """(N, C) float32: bias-corrected moving average of the predicted probabilities; zeros until the first."""
    weights: torch.Tensor
    """(N,) float32: what each row counts now, mean 1; 0 for those left out."""
    penalty: torch.Tensor
    """() float32: the pull's weight now."""
    num_updates: torch.Tensor
    """() int64."""
    _labels: torch.Tensor
    _own: torch.Tensor
    _given: torch.Tensor

    def __init__(self, targets: np.ndarray, weights: np.ndarray | None, num_labels: int, momentum: float, threshold: float) -> None:
        super().__init__()
        self._momentum, self._threshold = momentum, threshold
        is_soft = targets.ndim == 2
        given = torch.ones(len(targets)) if weights is None else torch.from_numpy(weights)
        self.register_buffer("mean", torch.zeros(len(targets), num_labels))
        self.register_buffer("weights", given.clone())
        self.register_buffer("penalty", torch.tensor(0.0))
        self.register_buffer("num_updates", torch.tensor(0))
        self.register_buffer("_labels", torch.from_numpy(targets.argmax(axis=1) if is_soft else targets), persistent=False)
        self.register_buffer("_own", torch.from_numpy(targets.max(axis=1)) if is_soft else torch.ones(len(targets)), persistent=False)
        self.register_buffer("_given", given, persistent=False)

    @property
    def kept(self) -> float:
        """Share of the rows that count."""
        return float((self.weights > 0).float().mean())

    def update(self, probabilities: torch.Tensor) -> None:
        """Takes in predictions (N, C) of all rows, in the rows' order."""
        self.num_updates += 1
        num = int(self.num_updates)
        self.mean.lerp_(probabilities, (1 - self._momentum) / (1 - self._momentum**num))  # the usual correction of the start, unrolled
        weights = self._given * self._counting()
        self.weights.copy_(weights / weights.mean())
        self.penalty.fill_(_PENALTY * math.exp(-5 * (1 - min(num / _RAMP, 1)) ** 2))

    def penalties(self, logits: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        """(B,) float32: Kullback-Leibler divergence of the student (logits: (B, C)) from these rows' means, times the pull's weight."""
        return self.penalty * functional.kl_div(functional.log_softmax(logits, dim=1), self.mean[indices], reduction="none").sum(dim=1)

    def _counting(self) -> torch.Tensor:
        """(N,) bool."""
        certainty = self.mean.gather(1, self._labels[:, None])[:, 0] / self._own
        counting = certainty >= self._threshold
        for label in self._labels.unique():
            rows = ((self._labels == label) & (self._given > 0)).nonzero()[:, 0]
            if counting[rows].sum() < _FEWEST:
                likeliest = certainty[rows].argsort(descending=True, stable=True)[: -(-len(rows) // 2)]
                counting[rows[likeliest]] = True
        return counting
