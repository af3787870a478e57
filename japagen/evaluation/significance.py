"""Whether two methods differ by more than the choice of gold rows and of seeds explains.

In: each method's runs, one a seed, on the same gold rows. Out: the difference of their mean primary metric with a 95% interval and a
two-sided p-value, and Holm's correction of several such. Two things vary. Gold rows: they are resampled with replacement, the same draw
for all runs of both methods (paired bootstrap: Efron and Tibshirani 1993; Koehn 2004), so what is hard for both cancels. Seeds: they are
crossed with the rows, as in the Multi-Bootstrap (Sellam et al., ICLR 2022), and differ between methods.

Seeds aren't drawn but enter by their sample variance, with Student's t and Satterthwaite's degrees of freedom (Welch 1947). Three drawn
from three never leave the range of what was seen, and if training alone made the scores differ, the seeds of two equal methods would lie
apart from each other in one of ten comparisons, each time with p near 0, which no correction mends. So with many rows and few seeds this
is Welch's test over seeds, with seeds that hardly matter the paired bootstrap over rows. As a run's score has its rows' noise in it
too, the interval is somewhat wide where seeds matter little. Of a single run nothing is known about seeds, so its part is 0.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from japagen.errors import DataError, StoreError
from japagen.evaluation.metrics import Array, Predictions, counted_metric, draw_counts
from japagen.tasks import Example, Task, nearest_level

NUM_RESAMPLES = 1000
_SEED = 0
"""One for all, so that row draws are the same for whatever is compared."""

_ROUNDING = 1e-12
"""Below this two means differ by rounding only."""


@dataclass(frozen=True)
class RunPredictions:
    """One result's predictions of one gold split."""

    ids: tuple[str, ...]
    gold: tuple[str | float, ...]
    """Labels; for regression scores."""
    predictions: Predictions


@dataclass(frozen=True)
class Resampled:
    """A method's primary metric, on the gold rows and on resamples of them."""

    rows: tuple[tuple[str, ...], tuple[str | float, ...]]
    """The gold rows' ids and their labels or scores."""
    values: Array
    """(S,) float64, one a run; nan where the gold rows allow no value."""
    resampled: Array
    """(R, S) float64."""


@dataclass(frozen=True)
class Difference:
    """Mean metric of the first method less that of the second."""

    value: float
    low: float
    high: float
    p: float
    """Two-sided, for one comparison by itself."""


def read_run(path: Path) -> RunPredictions:
    """The `predictions.parquet` of a result. Raises StoreError where it isn't there or isn't one."""
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path, columns=["id", "gold", "prediction"])
        columns = [table[name].to_pylist() for name in ("id", "gold", "prediction")]
    except (OSError, KeyError, pyarrow.ArrowException) as error:
        raise StoreError(f"{path}: predictions can't be read ({error}); remove the result's folder to have it made again") from error
    return RunPredictions(tuple(columns[0]), tuple(columns[1]), columns[2])


def resample(task: Task, runs: Sequence[RunPredictions], num_resamples: int = NUM_RESAMPLES) -> Resampled:
    """The task's metric of a method's runs (one at least), on draws of the rows that are the same for all methods on those rows.

    Raises DataError where the runs' gold rows differ, and ValueError as `evaluation.evaluate` does.
    """
    rows = (runs[0].ids, runs[0].gold)
    for run in runs:
        _check_same(rows, (run.ids, run.gold))
    gold = [_example(task, name, value) for name, value in zip(runs[0].ids, runs[0].gold, strict=True)]
    metrics = [counted_metric(task, gold, run.predictions) for run in runs]
    if not gold:
        return Resampled(rows, np.full(len(runs), np.nan), np.full((num_resamples, len(runs)), np.nan))
    once = np.ones((1, len(gold)), dtype=np.float32)
    values = np.array([float(metric(once)[0]) for metric in metrics])
    drawn = [np.stack([metric(counts) for metric in metrics], axis=1) for counts in draw_counts(len(gold), num_resamples, _SEED)]
    return Resampled(rows, values, np.concatenate(drawn))


def _example(task: Task, name: str, value: str | float) -> Example:
    if task.is_regression:
        return Example((), nearest_level(task, float(value)).name, float(value), name)
    return Example((), str(value), None, name)


def _check_same(first: tuple[Sequence[object], ...], second: tuple[Sequence[object], ...]) -> None:
    for what, left, right in zip(("ids", "labels or scores"), first, second, strict=True):
        if len(left) != len(right):
            raise DataError(f"{len(left)} gold rows on one side, {len(right)} on the other: only results on the same rows can be compared")
        if left != right:
            row = next(
                number for number, (first_value, second_value) in enumerate(zip(left, right, strict=True)) if first_value != second_value
            )
            found = f"{left[row]!r} on one side, {right[row]!r} on the other"
            raise DataError(f"gold rows differ in their {what}, first in row {row}: {found}; only results on the same rows can be compared")


def compare(first: Resampled, second: Resampled) -> Difference | None:
    """The first method against the second; None where the gold rows allow no value, or are fewer than two.

    p is never below 2^(1 - N): no test that swaps the methods' answers row by row could say more of N rows. Raises DataError where
    the gold rows differ.
    """
    _check_same(first.rows, second.rows)
    num_rows = len(first.rows[0])
    if num_rows < 2 or np.isnan([*first.values, *second.values]).any():
        return None
    value = float(first.values.mean() - second.values.mean())
    value = 0.0 if abs(value) < _ROUNDING else value
    parts = [(_variance_over_rows(first, second), num_rows - 1), *(_variance_over_seeds(method.values) for method in (first, second))]
    error, degrees = _standard_error(parts)
    least_p = 2.0 ** (1 - min(num_rows, 1000))
    if error == 0:
        return Difference(value, value, value, 1.0 if value == 0 else least_p)
    from scipy.stats import t

    reach = float(t.ppf(0.975, degrees)) * error
    return Difference(value, value - reach, value + reach, max(float(2 * t.sf(abs(value) / error, degrees)), least_p))


def _variance_over_rows(first: Resampled, second: Resampled) -> float:
    """Variance, over row resamples, of the difference between the methods' means over seeds; resamples that allow no value are left out."""
    differences = first.resampled.mean(axis=1) - second.resampled.mean(axis=1)
    usable = differences[~np.isnan(differences)]
    return float(usable.var(ddof=1)) if len(usable) > 1 else 0.0


def _variance_over_seeds(values: Array) -> tuple[float, int]:
    """Variance of the mean over seeds, with its degrees of freedom; 0 for a single run."""
    num = len(values)
    return (float(values.var(ddof=1)) / num, num - 1) if num > 1 else (0.0, 1)


def _standard_error(parts: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """parts: independent variances with their degrees of freedom -> root of the sum, and its degrees of freedom (Satterthwaite 1946)."""
    total = sum(variance for variance, _ in parts)
    if total == 0:
        return 0.0, 1.0
    return math.sqrt(total), 1 / sum((variance / total) ** 2 / degrees for variance, degrees in parts)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number, in the given order (Holm 1979): the risk that any below 0.05 is false is at most 5%."""
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda number: p_values[number])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected
