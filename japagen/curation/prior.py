"""Label frequencies: weights that give training rows a chosen prior, and where such a prior can come from.

Written rows come in equal numbers a label, real texts don't. A row's weight in the loss is the prior of its label over the
label's share of the rows, so that the student learns the frequencies it will meet. Priors: `uniform`, the user's own,
`estimate_prior` from unlabelled texts, or `counts_prior` of the scored rows, which is an oracle and only fit for comparison.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from japagen.errors import DataError, TrainingError
from japagen.evaluation.baselines import ngram_features
from japagen.evaluation.linear import at_most, fit_classifier
from japagen.tasks import Example, Task

NUM_FOLDS = 5
"""Parts of the rows, each predicted by a classifier that learned from the others; a label needs as many rows."""
MAX_ROWS = 5_000
"""Rows, and unlabelled texts, that the estimate reads at most; a fixed draw of them."""
_LEAST_LOG = -12.0
"""Natural logarithm of the smallest probability that the classifier is allowed."""
_MAX_ROUNDS = 2_000
_TOLERANCE = 1e-7

Prior = dict[str, float]
"""label -> frequency, for every label of the task; they sum to 1."""


def prior_weights(task: Task, examples: Sequence[Example], prior: Mapping[str, float]) -> tuple[Example, ...]:
    """The examples with weights whose mean is 1 and whose sum for each label is its `prior` (relative to the sum of all).

    Rows of one label keep the proportions of the weights they have. A row counts for `label`, also where it has soft labels, and in
    a regression for its level. Labels with prior 0 weigh nothing.
    Raises TrainingError where a label with a prior above 0 has no row (or only rows that weigh nothing).
    """
    if not examples:
        return ()
    sums = dict.fromkeys(task.label_names, 0.0)
    for example in examples:
        sums[example.label] += example.weight
    total = sum(prior[name] for name in task.label_names)
    missing = [name for name in task.label_names if prior[name] > 0 and not sums[name]]
    if missing:
        rows = Counter(example.label for example in examples)
        shown = ", ".join(f"{name}: {rows[name]}" for name in task.label_names)
        raise TrainingError(
            f"task {task.name!r}: curate.prior gives label {missing[0]!r} a frequency of {prior[missing[0]]:.3g}, but no training row"
            f" has it ({shown}); ask for more texts (num_per_label), or set curate.prior=as_made"
        )
    factors = {name: prior[name] / total * len(examples) / sums[name] for name in task.label_names if sums[name]}
    return tuple(replace(example, weight=example.weight * factors[example.label]) for example in examples)


def uniform(task: Task) -> Prior:
    """The uniform prior: one frequency for every label."""
    return dict.fromkeys(task.label_names, 1 / len(task.labels))


def counts_prior(task: Task, gold: Sequence[Example]) -> Prior:
    """The labels' frequencies among labelled rows. Of rows that are scored this is an oracle: for comparison only.

    Raises DataError without rows.
    """
    if not gold:
        raise DataError(f"task {task.name!r}: curate.prior=oracle needs labelled rows to count, and there are none")
    counts = Counter(example.label for example in gold)
    return {name: counts[name] / len(gold) for name in task.label_names}


def estimate_prior(task: Task, examples: Sequence[Example], texts: Sequence[tuple[str, ...]]) -> Prior:
    """The labels' frequencies among unlabelled `texts`, estimated by what the labelled `examples` teach; deterministic.

    A linear model on character n-grams learns from the examples. Its probabilities are put right by those it gives to rows that it
    didn't learn from (one scale and a bias a label: Alexandari, Kundaje and Shrikumar 2020), and the prior under which the texts are
    most likely is found by re-estimation (Saerens, Latinne and Decaestecker 2002). The examples' own frequencies count as one text
    a label, so that no label is estimated to be impossible.

    It rests on each label's texts being alike in both sets, and fails where they aren't: where the LLM's texts differ from real ones,
    part of the difference is taken for frequencies; wrong labels among the examples blur the estimate likewise. Where the
    linear model can't tell the labels apart (acceptability) the estimate stays close to the examples' own frequencies: no harm, no gain.
    Takes some seconds to a minute.
    Raises DataError without texts, TrainingError where a label has fewer than NUM_FOLDS rows.
    """
    if not texts:
        raise DataError(
            f"task {task.name!r}: curate.prior=estimated needs unlabelled texts, and there are none; name a file with data.unlabelled_file"
        )
    counts = Counter(example.label for example in examples)
    for name in task.label_names:
        if counts[name] < NUM_FOLDS:
            raise TrainingError(
                f"task {task.name!r}: curate.prior=estimated needs {NUM_FOLDS} rows of each label; {name!r} has {counts[name]};"
                " ask for more texts (num_per_label), or set curate.prior=given"
            )
    frequencies = np.array([counts[name] for name in task.label_names]) / len(examples)
    rows = at_most(examples, MAX_ROWS)
    unlabelled = at_most([Example(text, "") for text in texts], MAX_ROWS)
    held_out, classes = _held_out_logs(task, rows)
    scale, bias = _calibrate(held_out, classes)
    posteriors = _softmax(scale * _logs(task, rows, unlabelled) + bias)
    found = _reestimate(posteriors, frequencies)
    return {name: float(value) for name, value in zip(task.label_names, found, strict=True)}


def _logs(task: Task, rows: Sequence[Example], others: Sequence[Example]) -> np.ndarray:
    """(others, C) float64: the logarithms of the probabilities that a linear model of `rows` gives; labels that it never saw get the
    least one."""
    names = sorted({row.label for row in rows})
    logs = np.full((len(others), len(task.labels)), _LEAST_LOG)
    columns = [task.label_names.index(name) for name in names]
    if len(names) == 1:
        logs[:, columns] = 0.0
        return logs
    features, other_features = ngram_features(rows, others)
    found = fit_classifier(features, [row.label for row in rows]).predict_log_proba(other_features)  # columns in the names' order
    logs[:, columns] = np.maximum(found, _LEAST_LOG)
    return logs


def _held_out_logs(task: Task, rows: Sequence[Example]) -> tuple[np.ndarray, np.ndarray]:
    """(N, C) float64 logarithms for rows that the model didn't learn from, and (N,) int64 classes: their labels' indices.

    Rows with the same first text are in one fold; the folds of a label are as even as that allows.
    """
    turns: Counter[str] = Counter()
    fold_of: dict[str, int] = {}
    for row in rows:
        if row.texts[0] not in fold_of:
            fold_of[row.texts[0]] = turns[row.label] % NUM_FOLDS
            turns[row.label] += 1
    folds = np.array([fold_of[row.texts[0]] for row in rows])
    logs = np.zeros((len(rows), len(task.labels)))
    for fold in np.unique(folds):
        own, others = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        if len(others):
            logs[own] = _logs(task, [rows[index] for index in others], [rows[index] for index in own])
    return logs, np.array([task.label_names.index(row.label) for row in rows])


def _calibrate(logs: np.ndarray, classes: np.ndarray) -> tuple[float, np.ndarray]:
    """The scale () and bias (C,) under which softmax(scale * logs + bias) makes the labels, given as `classes` (N,), most likely."""
    from scipy.optimize import minimize

    num_rows, num_labels = logs.shape
    truth = np.eye(num_labels)[classes]

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """Cross entropy with a slight pull of the biases to 0, and its gradient."""
        scale, bias = np.exp(parameters[0]), parameters[1:]
        found = _softmax(scale * logs + bias)
        error = (found - truth) / num_rows
        value = -np.log(np.maximum(found[np.arange(num_rows), classes], 1e-300)).mean() + 1e-4 * (bias**2).sum()
        return float(value), np.concatenate([[scale * (error * logs).sum()], error.sum(axis=0) + 2e-4 * bias])

    bounds = [(-7.0, 3.0), *[(-20.0, 20.0)] * num_labels]
    found = minimize(loss, np.zeros(1 + num_labels), jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(np.exp(found[0])), found[1:]


def _reestimate(posteriors: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """(C,) the prior that makes the texts most likely; posteriors (N, C) hold under `frequencies` (C,), which count as C texts."""
    num_texts, num_labels = posteriors.shape
    prior = frequencies
    for _ in range(_MAX_ROUNDS):
        weighted = posteriors * (prior / frequencies)
        weighted /= weighted.sum(axis=1, keepdims=True)
        found = (weighted.sum(axis=0) + num_labels * frequencies) / (num_texts + num_labels)
        if np.abs(found - prior).max() < _TOLERANCE:
            return found
        prior = found
    return prior


def _softmax(logits: np.ndarray) -> np.ndarray:
    """(N, C) float64 -> (N, C), rows summing to 1."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)
