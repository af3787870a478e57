"""Whether two methods differ by more than the choice of gold rows, of data draws and of seeds explains.

In: each method's runs on the same gold rows, and which draw of the data each run has. Out: the difference of their mean primary metric
with a 95% interval and a two-sided p-value, and Holm's correction of several such.

The design is rows x runs (two-way, both random: Cornfield and Tukey 1956), runs nested in draws of the data. The unit that repeats a
method is the draw: the texts that an LLM writes, the exemplars, the gold subset. Students trained on one draw are averaged, so their
variance enters through that mean (the error term of a nested analysis of variance), and where a method draws nothing a run is a unit. Two
draws at least are needed on either side: one shows nothing of how a method's scores vary, and a test that takes that variance for 0 calls
equal methods different in 25 to 51% of cases (one run each) or 28 to 55% (three seeds on one draw). There is no p-value then.

Rows: gold rows, or clusters of them, are resampled with replacement, the same for all runs of both methods (paired bootstrap: Efron and
Tibshirani 1993; Koehn 2004; crossed with runs as in the pigeonhole bootstrap, Owen 2007, and the Multi-Bootstrap, Sellam et al. 2022), so
what is hard for both cancels. The variance over resamples has all row noise in it, that of rows which are hard for one run only too.

Draws: the sample variance of their scores estimates the draws' own variance plus the row noise peculiar to a run (the interaction of rows
and runs). Adding it as it is would count that noise twice. So the interaction, which the same resamples show, is taken off first: the
analysis of variance's estimate of the component, whose sum over both methods counts as 0 where it is below.

The error is the root of rows + draws, t has Satterthwaite's degrees (1946) over the components. Draws aren't resampled: three drawn from
three never leave the range of what was seen.

It was chosen by simulation with normal terms, three draws a side, draws from nothing to 20 times the row noise peculiar to a run. At 5% it
calls equal methods different in 3 to 7% of cases (up to 9% where only one of them varies; two draws a side: up to 10%, 13%), and finds 79%
of differences of which a test that knew the variance would find 87%, where row noise is all there is and a third of it is shared. Adding
the variance as it is (Welch 1947) finds 64%; degrees from the unreduced variances 73%; a posterior cut at the row noise (Box and Tiao 1973,
section 5.2) 56%. Pooling both methods' variances finds 81% and errs in up to 12% where only one varies. Above 80% nothing tried kept below
8%: four degrees of freedom don't tell row noise from draws. `benchmarks/significance.py` repeats it with whole predictions. Methods that
share their draws (two students on the same texts) are compared as if they did not, which errs on the side of too few differences.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from japagen.errors import DataError, StoreError
from japagen.evaluation.metrics import Array, Predictions, clusters_of, counted_metric, draw_counts
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
    clusters: tuple[str, ...] = ()
    """Each row's cluster, '' for a row by itself; empty where no row has one."""


@dataclass(frozen=True)
class Resampled:
    """A method's primary metric, on the gold rows and on resamples of them."""

    rows: tuple[tuple[str, ...], tuple[str | float, ...], tuple[str, ...]]
    """The gold rows' ids, their labels or scores, and their clusters."""
    values: Array
    """(D,) float64, one a draw: the mean over its runs; nan where the gold rows allow no value."""
    resampled: Array
    """(R, D) float64."""
    num_runs: int
    num_clusters: int
    """Of the gold rows; as many as rows where those are by themselves."""

    @property
    def num_draws(self) -> int:
        return len(self.values)

    @property
    def too_few(self) -> str:
        """Why nothing is known of how the method's scores vary; '' where something is."""
        if self.num_draws > 1:
            return ""
        return "one run" if self.num_runs == 1 else f"{self.num_runs} runs on one draw of the data"


@dataclass(frozen=True)
class Difference:
    """Mean metric of the first method less that of the second; interval, errors and p only where either has two draws or more."""

    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    """Two-sided, for one comparison by itself."""
    error_rows: float | None = None
    """Standard error from the choice of gold rows."""
    error_draws: float | None = None
    """Standard error from draws of the data and from seeds, beyond the rows'."""


def read_run(path: Path) -> RunPredictions:
    """The `predictions.parquet` of a result. Raises StoreError where it isn't there or isn't one."""
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(path)
        ids, gold, predictions = (table[name].to_pylist() for name in ("id", "gold", "prediction"))
        clusters = table["cluster"].to_pylist() if "cluster" in table.column_names else []
    except (OSError, KeyError, pyarrow.ArrowException) as error:
        raise StoreError(f"{path}: predictions can't be read ({error}); remove the result's folder to have it made again") from error
    return RunPredictions(tuple(ids), tuple(gold), predictions, tuple(clusters) if any(clusters) else ())


def resample(
    task: Task, runs: Sequence[RunPredictions], draws: Sequence[Hashable] | None = None, num_resamples: int = NUM_RESAMPLES
) -> Resampled:
    """The task's metric of a method's runs (one at least), on draws of the rows that are the same for all methods on those rows.

    draws: the draw of the data that each run has, by any name; None: one each. Raises DataError where the runs' gold rows differ, and
    ValueError as `evaluation.evaluate` does.
    """
    rows = _rows_of(runs[0])
    for run in runs:
        _check_same(rows, _rows_of(run))
    gold = [_example(task, *row) for row in zip(*rows[:2], rows[2] or [""] * len(rows[0]), strict=True)]
    metrics = [counted_metric(task, gold, run.predictions) for run in runs]
    means = _means_by_draw(range(len(runs)) if draws is None else draws)
    if not gold:
        nothing = np.full((num_resamples, len(means)), np.nan)
        return Resampled(rows, np.full(len(means), np.nan), nothing, len(runs), 0)
    once, clusters = np.ones((1, len(gold)), dtype=np.float32), clusters_of(gold)
    values = np.array([float(metric(once)[0]) for metric in metrics])
    drawn = [np.stack([metric(counts) for metric in metrics], axis=1) for counts in draw_counts(len(gold), num_resamples, _SEED, clusters)]
    num_clusters = len(gold) if clusters is None else int(clusters.max()) + 1
    return Resampled(rows, means @ values, np.concatenate(drawn) @ means.T, len(runs), num_clusters)


def _means_by_draw(draws: Sequence[Hashable]) -> Array:
    """(D, S) float64: what each run of S counts in the mean of its draw."""
    numbers = {draw: number for number, draw in enumerate(dict.fromkeys(draws))}
    members = np.array([[numbers[draw] == number for draw in draws] for number in range(len(numbers))], dtype=np.float64)
    return members / members.sum(axis=1, keepdims=True)


def _rows_of(run: RunPredictions) -> tuple[tuple[str, ...], tuple[str | float, ...], tuple[str, ...]]:
    return run.ids, run.gold, run.clusters


def _example(task: Task, name: str, value: str | float, cluster: str) -> Example:
    if task.is_regression:
        return Example((), nearest_level(task, float(value)).name, float(value), name, cluster=cluster)
    return Example((), str(value), None, name, cluster=cluster)


def _check_same(first: tuple[Sequence[object], ...], second: tuple[Sequence[object], ...]) -> None:
    for what, left, right in zip(("ids", "labels or scores", "clusters"), first, second, strict=True):
        if what != "clusters" and len(left) != len(right):
            raise DataError(f"{len(left)} gold rows on one side, {len(right)} on the other: only results on the same rows can be compared")
        if len(left) != len(right):
            raise DataError("gold rows have clusters on one side only; only results on the same rows can be compared")
        if left != right:
            row = next(
                number for number, (first_value, second_value) in enumerate(zip(left, right, strict=True)) if first_value != second_value
            )
            found = f"{left[row]!r} on one side, {right[row]!r} on the other"
            raise DataError(f"gold rows differ in their {what}, first in row {row}: {found}; only results on the same rows can be compared")


def compare(first: Resampled, second: Resampled) -> Difference | None:
    """The first method against the second; None where the gold rows allow no value, or are fewer than two clusters.

    p is never below 2^(1 - N): no test that swaps the methods' answers cluster by cluster could say more of N clusters. Where a side has
    one draw there is no p and no interval. Raises DataError where the gold rows differ.
    """
    _check_same(first.rows, second.rows)
    num_clusters = first.num_clusters
    if num_clusters < 2 or np.isnan([*first.values, *second.values]).any():
        return None
    value = float(first.values.mean() - second.values.mean())
    value = 0.0 if abs(value) < _ROUNDING else value
    if first.too_few or second.too_few:
        return Difference(value)
    rows = _variance_over_rows(first, second)
    parts = [_variance_over_draws(method) for method in (first, second)]
    draws = max(0.0, sum(variance for variance, _ in parts))
    error, degrees = math.sqrt(rows + draws), _degrees([(rows, num_clusters - 1), *parts], rows + draws)
    least_p = 2.0 ** (1 - min(num_clusters, 1000))
    errors = math.sqrt(rows), math.sqrt(draws)
    if error == 0:
        return Difference(value, value, value, 1.0 if value == 0 else least_p, *errors)
    from scipy.stats import t

    reach = float(t.ppf(0.975, degrees)) * error
    return Difference(value, value - reach, value + reach, max(float(2 * t.sf(abs(value) / error, degrees)), least_p), *errors)


def _variance_over_rows(first: Resampled, second: Resampled) -> float:
    """Variance, over row resamples, of the difference between the methods' means; resamples that allow no value are left out."""
    differences = _usable(first.resampled.mean(axis=1) - second.resampled.mean(axis=1))
    return float(differences.var(ddof=1)) if len(differences) > 1 else 0.0


def _variance_over_draws(method: Resampled) -> tuple[float, int]:
    """Variance of a method's mean from its draws alone, below 0 where its scores differ less than row noise has them, and its degrees.

    The sample variance of D scores estimates draws + interaction; the interaction's part is that of the scores' deviations from their
    mean over row resamples.
    """
    deviations = _usable(method.resampled - method.resampled.mean(axis=1, keepdims=True))
    degrees = method.num_draws - 1
    interaction = float(deviations.var(axis=0, ddof=1).sum()) / degrees if len(deviations) > 1 else 0.0
    return (float(method.values.var(ddof=1)) - interaction) / method.num_draws, degrees


def _usable(values: Array) -> Array:
    """The resamples (R, …) without a nan."""
    return values[~np.isnan(values).reshape(len(values), -1).any(axis=1)]


def _degrees(parts: Sequence[tuple[float, int]], total: float) -> float:
    """Degrees of freedom of the total of variances with their own (Satterthwaite 1946); those below 0 count as 0."""
    spread = sum((max(variance, 0.0) / total) ** 2 / degrees for variance, degrees in parts) if total else 0.0
    return 1 / spread if spread else math.inf


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for their number, in the given order (Holm 1979): the risk that any below 0.05 is false is at most 5%."""
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda number: p_values[number])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected
