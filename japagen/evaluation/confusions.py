"""Which labels are taken for which others, as pairs with counts: a matrix of more than MANY_LABELS labels can't be read.

Pure functions over gold labels and predictions, one a row; the page of a report and W&B show the same pairs.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

MANY_LABELS = 12
"""Above so many labels confusions are shown as pairs, and what is listed label by label is shortened."""
NUM_PAIRS = 15
"""Pairs shown, the most frequent ones."""


@dataclass(frozen=True)
class ConfusedPair:
    """One gold label, and one other label that was predicted in its place."""

    gold: str
    predicted: str
    """'' where the LLM gave no usable answer."""
    num: int
    """Rows of this label with this prediction."""
    num_gold: int
    """Rows of this label."""

    @property
    def share(self) -> float:
        """Share of the gold label's rows, 0 to 1."""
        return self.num / self.num_gold


def most_confused(gold: Sequence[str], predicted: Sequence[str], limit: int = NUM_PAIRS) -> list[ConfusedPair]:
    """The `limit` most frequent pairs of a gold label and a wrong prediction; of equal counts the first by name."""
    num_gold = Counter(gold)
    wrong = Counter((label, found) for label, found in zip(gold, predicted, strict=True) if label != found)
    ordered = sorted(wrong.items(), key=lambda item: (-item[1], item[0]))
    return [ConfusedPair(label, found, num, num_gold[label]) for (label, found), num in ordered[:limit]]


def never_predicted(labels: Sequence[str], gold: Sequence[str], predicted: Sequence[str]) -> list[str]:
    """The labels that have gold rows and no prediction, in the task's order."""
    missed = set(gold) - set(predicted)
    return [label for label in labels if label in missed]
