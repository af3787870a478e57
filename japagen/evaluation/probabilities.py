"""How good a classifier's probabilities are: NLL, the Brier score, and a calibration error without the bias of ECE.

ECE (`metrics.calibration_error`) is biased upwards in few rows: a perfectly calibrated classifier has 0.089 on average at 120 rows,
since in each bin the share of right answers strays by chance, and distances don't cancel. NLL and the Brier score are means over rows,
so they are unbiased, and both are proper: no other probabilities than the true ones lower them on average (Gneiting and Raftery 2007).
`squared_calibration_error` is ECE's counterpart without the bias. A simulation decided for it: at 120 rows and perfect calibration
its mean is 0, while ECE less the excess of its bootstrap or of a normal approximation (as the code of Kumar, Liang and Ma 2019 has
it) keeps more than half of the 0.089.
"""

from collections.abc import Sequence

import numpy as np

from japagen.evaluation.metrics import NUM_BINS, Array, classes_of, clusters_of, draw_counts, top_answers
from japagen.tasks import Example, Task

_LEAST = 1e-7
"""A probability of 0 counts as this in the NLL: a float32 softmax rounds to 0 what isn't."""


def probability_scores(
    task: Task, gold: Sequence[Example], probabilities: Array, seed: int = 0, num_resamples: int = 1000
) -> dict[str, dict[str, float] | None]:
    """{metric: {value, low, high}} of nll, brier and squared_calibration_error; None each for regression and without gold rows.

    probabilities: (N, C) in the labels' order.
    nll: mean of -log p(gold label), in nats; 0 is best, and log C is what a uniform answer has.
    brier: mean over rows of the squared distance between probabilities and the gold label's one-hot vector, summed over labels
    (Brier 1950): 0 to 2. Some libraries halve it for two labels.
    squared_calibration_error: mean over rows of the squared calibration error, debiased (`squared_error`); it may fall below 0.
    Intervals: percentile bootstrap over rows (clusters of them); the last has
    the basic bootstrap. Raises ValueError where a row is no distribution.
    """
    if task.is_regression or not gold:
        return dict.fromkeys(("nll", "brier", "squared_calibration_error"))
    probabilities = np.asarray(probabilities, dtype=np.float64)
    right, top = top_answers(task, gold, probabilities)
    one_hot = np.eye(len(task.labels))[classes_of(task, gold)]
    of_gold = (probabilities * one_hot).sum(axis=1)
    rows = np.stack([-np.log(of_gold.clip(_LEAST, 1)), ((probabilities - one_hot) ** 2).sum(axis=1)], axis=1)  # (N, 2)
    sums = _bin_sums(right - top, top)  # (N, 3 B)
    means, squared = [rows.mean(axis=0)[None]], [_squared(np.ones((1, len(gold))) @ sums, debiased=True)]
    for counts in draw_counts(len(gold), num_resamples, seed, clusters_of(gold)) if num_resamples else ():
        means.append(counts @ rows / counts.sum(axis=1, keepdims=True))
        squared.append(_squared(counts @ sums, debiased=True))
    drawn_means, drawn_squared = np.concatenate(means), np.concatenate(squared)
    plugin = float(_squared(np.ones((1, len(gold))) @ sums, debiased=False)[0])  # the error of the rows taken for a population
    return {
        "nll": _percentile(drawn_means[:, 0]),
        "brier": _percentile(drawn_means[:, 1]),
        "squared_calibration_error": _basic(drawn_squared, plugin),
    }


def squared_error(right: Array, top: Array) -> float:
    """Debiased mean squared calibration error of top answers: an unbiased estimate, so that of calibrated ones it is 0 on average.

    right: (N,) whether the most probable label is the gold one; top: (N,) its probability. With a row's residual r = right - top, a
    bin's squared error (E r)^2 is estimated by the mean of r_i r_j over pairs of its different rows, a U-statistic (Hoeffding 1948),
    which takes off exactly what the plug-in estimate has from each row's own square; as Kumar, Liang and Ma 2019, section 4, and
    Ferro and Fricker 2012 for the Brier score's reliability. Bins are those of ECE; a bin of one row has no pair and counts as 0.
    """
    right, top = np.asarray(right, dtype=np.float64), np.asarray(top, dtype=np.float64)
    return float(_squared(np.ones((1, len(top))) @ _bin_sums(right - top, top), debiased=True)[0])


def _bin_sums(residuals: Array, top: Array) -> Array:
    """A row's share in each bin's number of rows, sum of residuals and sum of their squares: (N, 3 B) float64."""
    bins = np.searchsorted(np.linspace(0, 1, NUM_BINS + 1)[1:-1], top, side="left")
    member = np.eye(NUM_BINS)[bins]
    return np.concatenate([member, member * residuals[:, None], member * residuals[:, None] ** 2], axis=1)


def _squared(sums: Array, debiased: bool) -> Array:
    """sums: (R, 3 B) of the rows drawn -> (R,) float64: squared calibration errors."""
    num, total, squares = np.split(sums.astype(np.float64), 3, axis=1)
    if debiased:
        of_bins = np.where(num > 1, num * (total**2 - squares) / np.maximum(num * (num - 1), 1), 0.0)
    else:
        of_bins = np.where(num > 0, total**2 / np.maximum(num, 1), 0.0)
    return of_bins.sum(axis=1) / num.sum(axis=1)


def _percentile(values: Array) -> dict[str, float]:
    """values: (1 + R,), the first of all rows, then those of resamples."""
    low, high = np.percentile(values[1:] if len(values) > 1 else values, [2.5, 97.5])
    return {"value": float(values[0]), "low": min(float(low), float(values[0])), "high": max(float(high), float(values[0]))}


def _basic(values: Array, plugin: float) -> dict[str, float]:
    """The resamples' distances from what is true of the rows that they are drawn from, turned round (Davison and Hinkley 1997, 5.2)."""
    value = float(values[0])
    if len(values) == 1:
        return {"value": value, "low": value, "high": value}
    low, high = value + plugin - np.percentile(values[1:], [97.5, 2.5])
    return {"value": value, "low": min(float(low), value), "high": max(float(high), value)}
