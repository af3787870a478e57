"""Predictions against gold rows: every metric that fits the target, each with a bootstrap interval.

In: gold examples and one prediction a row (label names, or numbers for regression). Out: {metric: {value, low, high}}.
Metrics agree with scikit-learn and scipy; where those give nan we say what the number means instead: predictions that are
all the same know nothing of the order, so their correlations are 0; gold scores that are all the same can't be measured
against, so the metric is None.

Intervals: 95%, percentile bootstrap over rows (Efron 1979). For classification a resample of rows is a draw of the confusion
matrix's cells from a multinomial, which has the same distribution and needs no loop over rows.
"""

from collections.abc import Callable, Sequence

import numpy as np

from japagen.tasks import Example, Task

METRICS_VERSION = 1
"""Enters results' keys; raised when a number's meaning changes."""

Predictions = Sequence[str] | Sequence[float]
"""One a row: a label's name (anything else counts as a wrong answer), or a number for regression."""

_CHUNK = 100
"""Resamples of a regression's rows that are ranked together: bounds memory at 100 x rows numbers."""

Array = np.ndarray


def evaluate(
    task: Task, gold: Sequence[Example], predictions: Predictions, seed: int = 0, num_resamples: int = 1000
) -> dict[str, dict[str, float] | None]:
    """{metric: {value, low, high}}; None where the gold rows allow no value (no rows, or all with the same score).

    The same arguments give the same intervals. Raises ValueError where the number of predictions isn't that of the rows, a
    gold label isn't the task's, or a predicted number isn't finite.
    """
    if len(gold) != len(predictions):
        raise ValueError(f"{len(predictions)} predictions for {len(gold)} gold rows")
    if not gold:
        return dict.fromkeys(_CORRELATIONS if task.is_regression else _CLASSIFICATION)
    resample = _resampled_correlations if task.is_regression else _resampled_classification
    values, resamples = resample(task, gold, predictions, np.random.default_rng(seed), num_resamples)
    return {name: _with_interval(value, resamples[name]) for name, value in values.items()}


def score(task: Task, gold: Sequence[Example], predictions: Predictions) -> dict[str, float | None]:
    """{metric: value}, without intervals; raises as `evaluate` does."""
    return {name: None if found is None else found["value"] for name, found in evaluate(task, gold, predictions, num_resamples=0).items()}


def gold_value(task: Task, example: Example) -> float:
    """A regression row's score; its level's value where it has none of its own."""
    if example.score is not None:
        return example.score
    return task.label_scores()[task.label_names.index(example.label)]


def decide(task: Task, outputs: Array) -> Predictions:
    """What a student's outputs say: label names from probabilities (B, C) in the labels' order, numbers from values (B, 1)."""
    if task.is_regression:
        return [float(value) for value in outputs[:, 0]]
    return [task.label_names[best] for best in outputs.argmax(axis=1)]


def _with_interval(value: float, resamples: Array) -> dict[str, float] | None:
    """`resamples`: (R,) float64, nan where a resample allows no value."""
    if np.isnan(value):
        return None
    usable = resamples[~np.isnan(resamples)]
    low, high = np.percentile(usable, [2.5, 97.5]) if len(usable) else (value, value)
    return {"value": float(value), "low": float(low), "high": float(high)}


def _resampled_classification(
    task: Task, gold: Sequence[Example], predictions: Predictions, rng: np.random.Generator, num_resamples: int
) -> tuple[dict[str, float], dict[str, Array]]:
    confusion = _confusion(task, gold, predictions)
    num_rows = int(confusion.sum())
    drawn = rng.multinomial(num_rows, confusion.ravel() / num_rows, size=num_resamples).reshape(-1, *confusion.shape)
    values = {name: float(metric(confusion[None])[0]) for name, metric in _CLASSIFICATION.items()}
    return values, {name: metric(drawn) for name, metric in _CLASSIFICATION.items()}


def _confusion(task: Task, gold: Sequence[Example], predictions: Predictions) -> Array:
    """(C + 1, C + 1) int64, gold down and predictions across; the last column holds answers that are no label."""
    places = {name: place for place, name in enumerate(task.label_names)}
    size = len(places) + 1
    confusion = np.zeros((size, size), dtype=np.int64)
    for example, prediction in zip(gold, predictions, strict=True):
        if example.label not in places:
            raise ValueError(f"gold label {example.label!r} is not one of task {task.name!r}: {', '.join(places)}")
        confusion[places[example.label], places.get(str(prediction), size - 1)] += 1
    return confusion


def _accuracy(confusions: Array) -> Array:
    """confusions: (R, C + 1, C + 1) -> (R,) float64."""
    return np.trace(confusions, axis1=1, axis2=2) / confusions.sum(axis=(1, 2))


def _macro_f1(confusions: Array) -> Array:
    """Mean F1 of the labels that occur in gold or predictions, as scikit-learn's default; 'no label' is no class of its own."""
    hits = np.diagonal(confusions, axis1=1, axis2=2)[:, :-1]
    seen = (confusions.sum(axis=1) + confusions.sum(axis=2))[:, :-1]
    f1 = 2 * hits / np.maximum(seen, 1)
    return f1.sum(axis=1) / np.maximum((seen > 0).sum(axis=1), 1)


def _mcc(confusions: Array) -> Array:
    """Matthews correlation of several classes (Gorodkin 2004); 0 where predictions or gold are all the same."""
    counts = confusions.astype(np.float64)
    gold, predicted, total = counts.sum(axis=2), counts.sum(axis=1), counts.sum(axis=(1, 2))
    covariance = np.trace(counts, axis1=1, axis2=2) * total - (gold * predicted).sum(axis=1)
    spread = (total**2 - (gold**2).sum(axis=1)) * (total**2 - (predicted**2).sum(axis=1))
    return np.where(spread > 0, covariance / np.sqrt(np.where(spread > 0, spread, 1.0)), 0.0)


def _resampled_correlations(
    task: Task, gold: Sequence[Example], predictions: Predictions, rng: np.random.Generator, num_resamples: int
) -> tuple[dict[str, float], dict[str, Array]]:
    truth = np.array([gold_value(task, example) for example in gold], dtype=np.float64)
    guess = np.asarray(predictions, dtype=np.float64)
    if not np.isfinite(guess).all():
        raise ValueError(f"prediction {int((~np.isfinite(guess)).argmax())} is not a finite number")
    values = {name: float(metric(truth[None], guess[None])[0]) for name, metric in _CORRELATIONS.items()}
    found: dict[str, list[Array]] = {name: [np.empty(0)] for name in _CORRELATIONS}
    for start in range(0, num_resamples, _CHUNK):
        rows = rng.integers(len(truth), size=(min(_CHUNK, num_resamples - start), len(truth)))
        for name, metric in _CORRELATIONS.items():
            found[name].append(metric(truth[rows], guess[rows]))
    return values, {name: np.concatenate(parts) for name, parts in found.items()}


def _pearson(truth: Array, guess: Array) -> Array:
    """truth, guess: (R, N) float64 -> (R,); 0 where `guess` is constant, nan where `truth` is."""
    truth_centred = truth - truth.mean(axis=1, keepdims=True)
    guess_centred = guess - guess.mean(axis=1, keepdims=True)
    spread = np.sqrt((truth_centred**2).sum(axis=1)) * np.sqrt((guess_centred**2).sum(axis=1))
    constant = (np.ptp(guess, axis=1) == 0) | (spread == 0)
    correlation = (truth_centred * guess_centred).sum(axis=1) / np.where(constant, 1.0, spread)
    correlation = np.where(constant, 0.0, correlation.clip(-1, 1))
    return np.where(np.ptp(truth, axis=1) == 0, np.nan, correlation)


def _spearman(truth: Array, guess: Array) -> Array:
    """Pearson's correlation of ranks, ties sharing their mean rank."""
    from scipy.stats import rankdata

    return _pearson(rankdata(truth, axis=1), rankdata(guess, axis=1))


_CLASSIFICATION: dict[str, Callable[[Array], Array]] = {"accuracy": _accuracy, "macro_f1": _macro_f1, "mcc": _mcc}
_CORRELATIONS: dict[str, Callable[[Array, Array], Array]] = {"spearman": _spearman, "pearson": _pearson}
