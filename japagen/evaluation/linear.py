"""Linear models of scikit-learn on features of labelled rows: what every baseline that learns ends in."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from japagen.evaluation.metrics import Array, Predictions, gold_value
from japagen.tasks import Example, Task

_PRIOR_VARIANCES = (1.0, 10.0, 100.0)
"""How much all features together may move a prediction beforehand: tried on training rows."""
_FOLDS = 3
_LEAST_CHOSEN_ON = 30
"""With fewer training rows nothing is chosen: the strongest penalty."""


def fit_predict(task: Task, rows: Sequence[Example], features: Array, gold_features: Array) -> Predictions:
    """What a linear model fitted to `rows` predicts: logistic regression, or ridge regression within the levels' range.

    features: (rows, F) dense; gold_features: (gold, F). Both are standardised by the training rows' mean and deviation. The penalty is
    chosen by cross-validation on the training rows; each weight's share of the prior variance is one over the number of features, so that
    hundreds of them don't learn few rows by heart. With one label only among the rows, that label.
    """
    from sklearn.linear_model import LogisticRegression, Ridge

    inverse_penalties = [variance / features.shape[1] for variance in _PRIOR_VARIANCES]
    if not task.is_regression:
        labels = [row.label for row in rows]
        if len(set(labels)) < 2:
            return [labels[0]] * len(gold_features)
        classifiers = [LogisticRegression(C=inverse_penalty, max_iter=1000) for inverse_penalty in inverse_penalties]
        return [str(label) for label in _best(classifiers, features, np.array(labels)).predict(gold_features)]
    ridges = [Ridge(alpha=1 / inverse_penalty) for inverse_penalty in inverse_penalties]
    levels = task.label_scores()
    fitted = _best(ridges, features, np.array([gold_value(task, row) for row in rows]))
    return [float(value) for value in fitted.predict(gold_features).clip(min(levels), max(levels))]


def _best(models: Sequence[Any], features: Array, targets: Array) -> Any:
    """The model with the best accuracy (ridge: R squared) on held-out training rows, fitted to all; of equals the first."""
    from sklearn.model_selection import KFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    candidates = [make_pipeline(StandardScaler(), model) for model in models]
    scores = [0.0]
    if len(targets) >= _LEAST_CHOSEN_ON:
        folds = KFold(_FOLDS, shuffle=True, random_state=0)
        if all(len(np.unique(targets[train])) > 1 for train, _ in folds.split(features)):
            scores = [cross_val_score(candidate, features, targets, cv=folds).mean() for candidate in candidates]
    return candidates[int(np.argmax(scores))].fit(features, targets)


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
