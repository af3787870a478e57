"""Linear models of scikit-learn on features of labelled rows: what every baseline that learns ends in."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from japagen.evaluation.metrics import Array, Predictions, gold_value
from japagen.tasks import Example, Task


def fit_predict(task: Task, rows: Sequence[Example], features: Array, gold_features: Array, prior_variance: float = 1.0) -> Predictions:
    """What a linear model fitted to `rows` predicts: logistic regression, or ridge regression within the levels' range.

    features: (rows, F) dense; gold_features: (gold, F). Both are standardised by the training rows' mean and deviation. prior_variance:
    how much all features together move a prediction beforehand; each weight's share of it is one over their number, so that hundreds
    of them don't learn few rows by heart. With one label only among the rows, that label.
    """
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    inverse_penalty = prior_variance / features.shape[1]
    if not task.is_regression:
        labels = [row.label for row in rows]
        if len(set(labels)) < 2:
            return [labels[0]] * len(gold_features)
        classifier = make_pipeline(StandardScaler(), LogisticRegression(C=inverse_penalty, max_iter=1000)).fit(features, labels)
        return [str(label) for label in classifier.predict(gold_features)]
    ridge = make_pipeline(StandardScaler(), Ridge(alpha=1 / inverse_penalty)).fit(features, [gold_value(task, row) for row in rows])
    levels = task.label_scores()
    return [float(value) for value in ridge.predict(gold_features).clip(min(levels), max(levels))]


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
