"""What a training row asks of the student: its target (hard or soft), its weight, and the robust loss.

In: labelled rows. Out: targets and weights, one a row, checked; and row losses. The settings behind them are classification's:
a regression's target is its score, whatever `probs` say, and its loss the squared error. Weights serve both.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from japagen.errors import TrainingError
from japagen.evaluation.metrics import gold_value
from japagen.tasks import Example, Task

_TOLERANCE = 1e-3
"""How far a soft label's sum may be from 1."""


def to_targets(task: Task, examples: Sequence[Example]) -> np.ndarray:
    """What the loss compares with.

    Classification: (N,) int64 indices of the task's labels; as soon as one row has `probs`, (N, C) float32 distributions, one-hot
    for rows without. Regression: (N,) float32 scores, the levels' range scaled to 0..1.
    Raises TrainingError for `probs` that aren't a distribution over the task's labels.
    """
    if task.is_regression:
        levels = task.label_scores()
        scores = np.array([gold_value(task, example) for example in examples], dtype=np.float32)
        return (scores - min(levels)) / (max(levels) - min(levels))
    classes = np.array([task.label_names.index(example.label) for example in examples], dtype=np.int64)
    if all(example.probs is None for example in examples):
        return classes
    targets = np.eye(len(task.labels), dtype=np.float32)[classes]
    for index, example in enumerate(examples):
        if example.probs is not None:
            targets[index] = _distribution(task, example)
    return targets


def _distribution(task: Task, example: Example) -> np.ndarray:
    found = np.array(example.probs, dtype=np.float64)
    if found.shape != (len(task.labels),) or not (found >= 0).all() or not abs(found.sum() - 1) <= _TOLERANCE:
        names = ", ".join(task.label_names)
        raise TrainingError(
            f"task {task.name!r}: row {example.id!r} has the soft label {example.probs};"
            f" it must be {len(task.labels)} probabilities that sum to 1, one a label: {names}"
        )
    return found / found.sum()


def to_weights(task: Task, examples: Sequence[Example]) -> np.ndarray | None:
    """(N,) float32 with mean 1: what each row counts; None where all count the same.

    They are scaled over all rows, and a batch's loss is its mean of weight x loss. Dividing by the batch's own weights instead
    would let a row count the less the heavier its neighbours are, and one light row alone count as a full batch. A batch with
    many heavy rows has a larger gradient, which is clipped as every step's is.
    Raises TrainingError for weights that are negative or not finite, or all 0.
    """
    weights = np.array([example.weight for example in examples], dtype=np.float64)
    for index in np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))[:1]:
        raise TrainingError(f"task {task.name!r}: row {examples[index].id!r} has weight {weights[index]}; allowed: finite numbers from 0")
    if len(weights) and not weights.any():
        raise TrainingError(f"task {task.name!r}: all {len(weights)} rows have weight 0; at least one must count")
    if not len(weights) or (weights == weights[0]).all():
        return None
    return (weights / weights.mean()).astype(np.float32)


def generalised_cross_entropy(logits: torch.Tensor, targets: torch.Tensor, robust_q: float, label_smoothing: float = 0.0) -> torch.Tensor:
    """(B,) float32: (1 - p^q) / q of the label's probability p (Zhang and Sabuncu 2018, equation 6); q above 0, up to 1.

    Its gradient is cross entropy's times p^q, so rows that the student finds improbable weigh little; q towards 0 is cross
    entropy, q=1 the absolute error. logits: (B, C); targets: (B,) int64 labels or (B, C) distributions, over which it is the
    expected value; smoothing moves a part of them to all labels evenly, as for cross entropy.
    """
    labels = targets if targets.ndim == 2 else functional.one_hot(targets, logits.shape[1]).to(logits.dtype)
    labels = (1 - label_smoothing) * labels + label_smoothing / logits.shape[1]
    of_each = -torch.expm1(robust_q * functional.log_softmax(logits, dim=1)) / robust_q
    return (labels * of_each).sum(dim=1)
