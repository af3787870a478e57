"""Predictions against gold rows: every metric that fits the target, each with a bootstrap interval.

In: gold examples and one prediction a row (label names, or numbers for regression). Out: {metric: {value, low, high}}.
Metrics agree with scikit-learn and scipy; where those give nan we say what the number means instead: predictions that are
all the same know nothing of the order, so their correlations are 0; gold scores that are all the same can't be measured
against, so the metric is None.

Intervals: 95%, percentile bootstrap over rows (Efron 1979). Rows that belong together (`Example.cluster`, e.g. sentences about one
picture) are drawn together: the cluster bootstrap (Davison and Hinkley 1997, section 3.8; Field and Welsh 2007), since rows drawn one by
one give intervals that are too narrow where a cluster's rows are alike. A resample is how often each row was drawn, so one set of draws
serves every prediction of the same rows (`counted_metric`). For classification without clusters it is a draw of the confusion matrix's
cells from a multinomial, which has the same distribution and needs no loop over rows.

`calibration_error` says how far a classifier's probabilities are from what happens; `probabilities` has measures of them without its bias.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from japagen.tasks import Example, Task

METRICS_VERSION = 2
"""Enters results' keys; raised when a number's meaning changes."""

Predictions = Sequence[str] | Sequence[float]
"""One a row: a label's name (anything else counts as a wrong answer), or a number for regression."""

NUM_BINS = 15
"""Number of bins of `calibration_error`, as in Guo et al. 2017."""
_CHUNK = 2_000_000
"""Numbers in one array of resamples at most: bounds memory."""

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
    values, resamples = resample(task, gold, predictions, seed, num_resamples)
    return {name: _with_interval(value, resamples[name]) for name, value in values.items()}


def score(task: Task, gold: Sequence[Example], predictions: Predictions) -> dict[str, float | None]:
    """{metric: value}, without intervals; raises as `evaluate` does."""
    return {name: None if found is None else found["value"] for name, found in evaluate(task, gold, predictions, num_resamples=0).items()}


def calibration_error(
    task: Task, gold: Sequence[Example], probabilities: Array, seed: int = 0, num_resamples: int = 1000, num_bins: int = NUM_BINS
) -> dict[str, float] | None:
    """Expected calibration error, 0 to 1: {value, low, high}; None for regression and without gold rows.

    probabilities: (N, C) in the labels' order. Rows are put into `num_bins` bins of equal width by their top probability
    ((0, 1/M], (1/M, 2/M], …); the error is the mean over rows of the distance between a bin's share of right answers and its mean
    top probability (Naeini et al. 2015; Guo et al. 2017, section 2). Raises ValueError where a row is no distribution over the labels.

    In few rows a bin's share strays from its probability by chance, so the error of a perfect classifier isn't 0 (0.089 at 120
    rows; `probabilities.squared_error` is a measure without this bias), and a resample's error is larger still. Hence the basic
    bootstrap (Davison and Hinkley 1997, section 5.2): 2 x value minus the resamples' percentiles, cut at 0 and 1 and wide enough
    for the value, which takes that excess off instead of adding it twice.
    """
    if task.is_regression or not gold:
        return None
    right, top = top_answers(task, gold, np.asarray(probabilities, dtype=np.float64))
    bins = np.searchsorted(np.linspace(0, 1, num_bins + 1)[1:-1], top, side="left")
    gaps = np.zeros((len(gold), num_bins))
    gaps[np.arange(len(gold)), bins] = right - top
    value = float(np.abs(gaps.sum(axis=0)).sum()) / len(gold)
    if not num_resamples:
        return {"value": value, "low": value, "high": value}
    clusters = clusters_of(gold)
    drawn = [np.abs(counts @ gaps).sum(axis=1) / counts.sum(axis=1) for counts in draw_counts(len(gold), num_resamples, seed, clusters)]
    low, high = (2 * value - np.percentile(np.concatenate(drawn), [97.5, 2.5])).clip(0, 1)
    return {"value": value, "low": min(float(low), value), "high": max(float(high), value)}


def clusters_of(gold: Sequence[Example]) -> Array | None:
    """Each row's cluster as a number from 0, (N,) int64; a row that names none is a cluster of its own. None where no row names one."""
    if not any(example.cluster for example in gold):
        return None
    numbers: dict[str | int, int] = {}
    return np.array([numbers.setdefault(example.cluster or row, len(numbers)) for row, example in enumerate(gold)], dtype=np.int64)


def count_clusters(gold: Sequence[Example]) -> int:
    """The number of clusters that resamples draw from; of rows without clusters that of the rows."""
    clusters = clusters_of(gold)
    return len(gold) if clusters is None else int(clusters.max()) + 1


def draw_counts(num_rows: int, num_resamples: int, seed: int, clusters: Array | None = None) -> Iterator[Array]:
    """Resamples of rows with replacement, some at a time: how often each row was drawn, (r, N) float32, `num_resamples` in all.

    clusters: (N,) as `clusters_of` numbers them; whole clusters are drawn then, as many as there are. None: rows.
    """
    rng = np.random.default_rng(seed)
    num_units = num_rows if clusters is None else int(clusters.max()) + 1
    size = max(1, _CHUNK // num_rows)
    for start in range(0, num_resamples, size):
        num = min(size, num_resamples - start)
        units = rng.integers(num_units, size=(num, num_units)) + num_units * np.arange(num)[:, None]
        counts = np.bincount(units.ravel(), minlength=num * num_units).reshape(num, num_units).astype(np.float32)
        yield counts if clusters is None else counts[:, clusters]


def counted_metric(task: Task, gold: Sequence[Example], predictions: Predictions) -> Callable[[Array], Array]:
    """The task's primary metric as a function of how often each row counts: (R, N) float32 -> (R,) float64.

    nan where the rows that count allow no value. Raises as `evaluate` does.
    """
    if len(gold) != len(predictions):
        raise ValueError(f"{len(predictions)} predictions for {len(gold)} gold rows")
    if task.is_regression:
        return partial(_CORRELATIONS[task.metric], *_numbers(task, gold, predictions))
    cells, size = _cells(task, gold, predictions), len(task.labels) + 1
    return lambda counts: _CLASSIFICATION[task.metric](_confusions(cells, counts, size))


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
    task: Task, gold: Sequence[Example], predictions: Predictions, seed: int, num_resamples: int
) -> tuple[dict[str, float], dict[str, Array]]:
    size, num_rows, clusters = len(task.labels) + 1, len(gold), clusters_of(gold)
    cells = _cells(task, gold, predictions)
    confusion = np.bincount(cells, minlength=size * size).reshape(size, size)
    if clusters is None:
        drawn = np.random.default_rng(seed).multinomial(num_rows, confusion.ravel() / num_rows, size=num_resamples).reshape(-1, size, size)
    else:
        parts = [_confusions(cells, counts, size) for counts in draw_counts(num_rows, num_resamples, seed, clusters)]
        drawn = np.concatenate([np.empty((0, size, size)), *parts])
    values = {name: float(metric(confusion[None])[0]) for name, metric in _CLASSIFICATION.items()}
    return values, {name: metric(drawn) for name, metric in _CLASSIFICATION.items()}


def _confusions(cells: Array, counts: Array, size: int) -> Array:
    """Confusion matrices (R, size, size) float64 of rows with these cells, (N,), that count so often, (R, N)."""
    seen, row_cells = np.unique(cells, return_inverse=True)
    one_hot = np.eye(len(seen), dtype=np.float32)[row_cells]  # sums of counts are whole numbers, exact in float32 up to 16 million rows
    confusions = np.zeros((len(counts), size * size))
    confusions[:, seen] = counts @ one_hot
    return confusions.reshape(-1, size, size)


def _cells(task: Task, gold: Sequence[Example], predictions: Predictions) -> Array:
    """Each row's cell of the confusion matrix (C + 1, C + 1), (N,) int64.

    Gold goes down and predictions across; the last column holds answers that are no label.
    """
    classes = {name: index for index, name in enumerate(task.label_names)}
    size = len(classes) + 1
    guesses = np.array([classes.get(str(prediction), size - 1) for prediction in predictions], dtype=np.int64)
    return classes_of(task, gold) * size + guesses


def classes_of(task: Task, gold: Sequence[Example]) -> Array:
    """Each gold label's class, its index among the task's labels; (N,) int64."""
    classes = {name: index for index, name in enumerate(task.label_names)}
    for example in gold:
        if example.label not in classes:
            raise ValueError(f"gold label {example.label!r} is not one of task {task.name!r}: {', '.join(classes)}")
    return np.array([classes[example.label] for example in gold], dtype=np.int64)


def top_answers(task: Task, gold: Sequence[Example], probabilities: Array) -> tuple[Array, Array]:
    """Whether each row's most probable label is the gold one, and how probable it is; both (N,) float64."""
    if probabilities.shape != (len(gold), len(task.labels)):
        raise ValueError(f"probabilities of shape {probabilities.shape} for {len(gold)} gold rows and {len(task.labels)} labels")
    fits = (probabilities >= 0).all(axis=1) & (np.abs(probabilities.sum(axis=1) - 1) < 1e-3)
    if not fits.all():
        raise ValueError(f"the probabilities of row {int((~fits).argmax())} are below 0 or don't sum to 1")
    return (probabilities.argmax(axis=1) == classes_of(task, gold)).astype(np.float64), probabilities.max(axis=1)


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
    task: Task, gold: Sequence[Example], predictions: Predictions, seed: int, num_resamples: int
) -> tuple[dict[str, float], dict[str, Array]]:
    truth, guess = _numbers(task, gold, predictions)
    once = np.ones((1, len(truth)))
    values = {name: float(metric(truth, guess, once)[0]) for name, metric in _CORRELATIONS.items()}
    found: dict[str, list[Array]] = {name: [np.empty(0)] for name in _CORRELATIONS}
    for counts in draw_counts(len(truth), num_resamples, seed, clusters_of(gold)):
        for name, metric in _CORRELATIONS.items():
            found[name].append(metric(truth, guess, counts))
    return values, {name: np.concatenate(parts) for name, parts in found.items()}


def _numbers(task: Task, gold: Sequence[Example], predictions: Predictions) -> tuple[Array, Array]:
    """A regression's gold scores and predictions, both (N,) float64."""
    guess = np.asarray(predictions, dtype=np.float64)
    if not np.isfinite(guess).all():
        raise ValueError(f"prediction {int((~np.isfinite(guess)).argmax())} is not a finite number")
    return np.array([gold_value(task, example) for example in gold], dtype=np.float64), guess


def _pearson(truth: Array, guess: Array, counts: Array) -> Array:
    """truth, guess: (N,) or (R, N) float64; counts: how often each row is taken, (R, N) -> (R,) float64.

    0 where the guesses taken are all the same, nan where the gold scores are.
    """
    counts = counts.astype(np.float64)
    truth_centred, guess_centred = _centred(truth, counts), _centred(guess, counts)
    spreads = [np.sqrt(np.einsum("rn,rn,rn->r", counts, part, part)) for part in (truth_centred, guess_centred)]
    spread = spreads[0] * spreads[1]
    constant = _is_constant(guess, counts) | (spread == 0)
    correlation = np.einsum("rn,rn,rn->r", counts, truth_centred, guess_centred) / np.where(constant, 1.0, spread)
    correlation = np.where(constant, 0.0, correlation.clip(-1, 1))
    return np.where(_is_constant(truth, counts), np.nan, correlation)


def _centred(values: Array, counts: Array) -> Array:
    """(R, N): `values` less their mean over the rows taken."""
    return values - ((values * counts).sum(axis=1) / counts.sum(axis=1))[:, None]


def _is_constant(values: Array, counts: Array) -> Array:
    """(R,) bool: whether all rows taken have the same value."""
    values, taken = np.broadcast_to(values, counts.shape), counts > 0
    first = np.take_along_axis(values, taken.argmax(axis=1)[:, None], axis=1)
    return ((values == first) | ~taken).all(axis=1)


def _spearman(truth: Array, guess: Array, counts: Array) -> Array:
    """Pearson's correlation of ranks, ties sharing their mean rank."""
    return _pearson(_ranks(truth, counts), _ranks(guess, counts), counts)


def _ranks(values: Array, counts: Array) -> Array:
    """(R, N) float64: each row's mean rank, from 1, among the rows taken; of rows not taken whatever fits between."""
    order = np.argsort(values, kind="stable")
    changes = np.flatnonzero(np.diff(values[order], prepend=np.nan) != 0)  # where a run of equal values begins
    sizes = np.add.reduceat(counts[:, order].astype(np.float64), changes, axis=1)
    mean_ranks = sizes.cumsum(axis=1) - (sizes - 1) / 2
    run = np.empty(len(values), dtype=np.int64)
    run[order] = np.repeat(np.arange(len(changes)), np.diff(changes, append=len(values)))
    return mean_ranks[:, run]


_CLASSIFICATION: dict[str, Callable[[Array], Array]] = {"accuracy": _accuracy, "macro_f1": _macro_f1, "mcc": _mcc}
_CORRELATIONS: dict[str, Callable[[Array, Array, Array], Array]] = {"spearman": _spearman, "pearson": _pearson}
