"""Linear models of scikit-learn on features of labelled rows: what every baseline that learns ends in."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from japagen.evaluation.metrics import Array, Predictions, gold_value
from japagen.tasks import Example, Task


def fit_predict(task: Task, rows: Sequence[Example], features: Array, gold_features: Array) -> Predictions:
    """What a linear model fitted to `rows` predicts: logistic regression, or ridge regression within the levels' range.

    features: (rows, F) dense; gold_features: (gold, F). Both are standardised by the training rows' mean and deviation. With one label
    only among the rows, that label.
    """
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if not task.is_regression:
        labels = [row.label for row in rows]
        if len(set(labels)) < 2:
            return [labels[0]] * len(gold_features)
        classifier = make_pipeline(StandardScaler(), LogisticRegression(C=_penalty(features), max_iter=1000)).fit(features, labels)
        return [str(label) for label in classifier.predict(gold_features)]
    ridge = make_pipeline(StandardScaler(), Ridge(alpha=1 / _penalty(features))).fit(features, [gold_value(task, row) for row in rows])
    levels = task.label_scores()
    return [float(value) for value in ridge.predict(gold_features).clip(min(levels), max(levels))]


def _penalty(features: Array) -> float:
    """scikit-learn's C, the variance that a weight has beforehand: one over the number of features, so that all of them together, which
    are standardised, move a prediction by about 1. Vectors of hundreds of numbers then don't learn few rows by heart."""
    return 1.0 / features.shape[1]


def fit_classifier(features: Any, labels: Sequence[str]) -> Any:
    """A logistic regression on sparse `features` (rows, F); labels: two different ones or more."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=10.0, max_iter=300, tol=1e-3).fit(features, labels)


def at_most(rows: Sequence[Example], num: int) -> Sequence[Example]:
    """`rows`, or `num` of them: always the same draw, in their order."""
    if len(rows) <= num:
        return rows
    kept = np.sort(np.random.default_rng(0).choice(len(rows), size=num, replace=False))
    return [rows[index] for index in kept]
