"""What an encoder's head puts out -> probabilities, or values on the task's scale. Needs no Lightning, so that `predict` loads none."""

import numpy as np

from japagen.tasks import Task


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
