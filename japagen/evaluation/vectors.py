"""What an encoder knows before any training: the baselines `frozen` and `nearest_description`, and how texts agree with their labels.

In: examples, and a function that gives each text a vector (`japagen.training.frozen` has the encoder's). Out: predictions, or counts
by label. A fine-tuned student that is not above `frozen` owes its score to the encoder's pretraining and not to its training rows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from japagen.evaluation.linear import at_most, fit_predict
from japagen.evaluation.metrics import Array, Predictions
from japagen.tasks import Example, Task

Encode = Callable[[Sequence[str]], Array]
"""Texts, all different -> a vector each, (N, H) float32."""

MAX_ROWS = 2000
"""Training rows whose texts are encoded, a fixed draw of them: half a minute of one core for multilingual-e5-small-q4 and lines of text."""


@dataclass(frozen=True)
class LabelAgreement:
    """Of one label's texts those whose nearest description is their label's own."""

    agreeing: int
    n: int
    """Texts looked at."""

    @property
    def share(self) -> float | None:
        """0 to 1; None without texts."""
        return self.agreeing / self.n if self.n else None


def frozen(task: Task, rows: Sequence[Example], gold: Sequence[Example], encode: Encode) -> Predictions:
    """Predictions for `gold` from vectors that no training has moved.

    Regression of pairs: the cosine of the two vectors, which needs no training rows. Else a linear model, fitted to `rows`, on the
    vector of a single text, or on |u - v| and u * v of a pair's vectors (Conneau et al. 2017, section 3.2, without u and v
    themselves, by which few rows are learned by heart) beside their cosine.
    """
    if task.is_pair and task.is_regression:
        first, second = _columns(gold, encode)
        return [float(value) for value in (first * second).sum(axis=1)]
    return fit_predict(task, rows, _joined(rows, encode), _joined(gold, encode))


def nearest_description(task: Task, texts: Sequence[str], encode: Encode) -> list[str]:
    """For each text the label whose description has the highest cosine with it: neither an LLM nor a training row takes part.

    Zero-shot by description, as in Yin et al. 2019 (section 4.2) and Schopf et al. 2022. For classification of single texts: a pair's
    label is a relation between its texts, and a regression's levels have no subject, so that no vector of a text comes near them.
    """
    descriptions = _unit(encode(label_descriptions(task)))
    nearest = (_vectors(texts, encode) @ descriptions.T).argmax(axis=1)
    return [task.label_names[index] for index in nearest]


def can_describe(task: Task) -> bool:
    """Whether `nearest_description` serves the task: it classifies single texts, and no two labels have the same description."""
    return not task.is_pair and not task.is_regression and len(set(label_descriptions(task))) == len(task.labels)


def label_descriptions(task: Task) -> list[str]:
    """One text a label: `meaning` where every label has one, else `word` where every label has one, else the instruction.

    All labels' descriptions are of one kind: a short word would draw texts to itself beside a whole instruction.
    """
    kinds = [[label.meaning for label in task.labels], [label.word for label in task.labels]]
    return next((kind for kind in kinds if all(kind)), [label.instruction for label in task.labels])


def label_agreement(task: Task, rows: Sequence[Example], encode: Encode) -> dict[str, LabelAgreement]:
    """label -> how many of its texts agree with it by `nearest_description`; empty where the task `can_describe` nothing.

    Of many rows a fixed draw of MAX_ROWS is looked at.
    """
    rows = at_most(rows, MAX_ROWS)
    if not can_describe(task) or not rows:
        return {}
    found = nearest_description(task, [row.texts[0] for row in rows], encode)
    own = {name: [label == name for row, label in zip(rows, found, strict=True) if row.label == name] for name in task.label_names}
    return {name: LabelAgreement(sum(agreeing), len(agreeing)) for name, agreeing in own.items()}


def weakest(agreement: Mapping[str, LabelAgreement]) -> tuple[str, LabelAgreement] | None:
    """The label with the lowest share of agreeing texts, the first one of several; None where no label has texts."""
    shares = {name: of_label.share for name, of_label in agreement.items() if of_label.share is not None}
    name = min(shares, key=lambda label: shares[label], default=None)
    return None if name is None else (name, agreement[name])


def _joined(rows: Sequence[Example], encode: Encode) -> Array:
    """The linear model's features, (N, H) float32 for single texts, (N, 2 H + 1) for pairs."""
    columns = _columns(rows, encode)
    if len(columns) == 1:
        return columns[0]
    first, second = columns
    product = first * second
    return np.concatenate([product.sum(axis=1, keepdims=True), np.abs(first - second), product], axis=1)


def _columns(rows: Sequence[Example], encode: Encode) -> list[Array]:
    """Unit vectors of each text column, (N, H) float32 each."""
    vectors = _vectors([text for row in rows for text in row.texts], encode)
    num = len(rows[0].texts)
    return [vectors[position::num] for position in range(num)]


def _vectors(texts: Sequence[str], encode: Encode) -> Array:
    """Unit vectors (N, H) float32; a text that comes often is encoded once."""
    different = list(dict.fromkeys(texts))
    index = {text: number for number, text in enumerate(different)}
    return _unit(encode(different))[[index[text] for text in texts]]


def _unit(vectors: Array) -> Array:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
