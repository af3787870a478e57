"""How many gold rows a method is worth: where its score meets the curve of students trained on gold rows alone.

In: settings scored on the same gold rows, among them `method=gold` at several sizes with the same encoder and training settings. Out: for
each other setting the number of gold rows at which the gold curve has its score. The curve is the isotonic regression of mean
scores on the logarithm of rows (more rows aren't worse, but for noise), linear in between, and is not continued beyond its ends.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from japagen.experiments.result import Result
from japagen.reporting.benchmarks import Benchmark, benchmarks_of
from japagen.reporting.seeds import Aggregate
from japagen.reporting.setting_names import setting_names


@dataclass(frozen=True)
class Crossing:
    """Where a score meets a gold curve."""

    rows: float
    """Gold rows; outside the curve the size at its end."""
    side: str = ""
    """'<': below the smallest size's score; '>': above the largest size's."""

    def __str__(self) -> str:
        return f"{self.side}{' ' if self.side else ''}{self.rows:,.0f}"


@dataclass(frozen=True)
class Worth:
    """One setting in gold rows."""

    data: str
    task: str
    split: str
    metric: str
    setting: str
    """In words, without the task."""
    model: str
    """The encoder of the gold curve, and of the setting where it has one."""
    score: float
    """Mean over runs."""
    rows: Crossing
    low: Crossing
    """The same of the lower end of the score's 95% interval over gold rows, averaged over runs; the curve's own error isn't in it."""
    high: Crossing
    curve: tuple[tuple[float, float], ...]
    """(gold rows, mean score as measured) by size."""
    keys: tuple[str, ...]
    """The results' keys."""
    demo: bool

    @property
    def text(self) -> str:
        """'412 [300, 620]', '< 90 [< 90, 120]'."""
        return f"{self.rows} [{self.low}, {self.high}]"

    @property
    def line(self) -> str:
        """A sentence for the notes below tables."""
        sizes = ", ".join(f"{rows:,.0f} rows {score:.3f}" for rows, score in self.curve)
        demo = " (demo: means nothing)" if self.demo else ""
        setting = f"{self.task} ({self.split}), {self.setting} ({self.score:.3f})"
        return f"worth in gold rows: {setting}: {self.text}, by {self.model}: {sizes}{demo}"


def worths(groups: Sequence[Aggregate]) -> list[Worth]:
    """The worth of each setting that learned not from gold rows alone, for each encoder with a gold curve of two sizes or more.

    A student is compared with the curve of its own encoder under its own `train` options; prompting, which has no encoder, with every
    plain curve.
    """
    return [worth for benchmark in benchmarks_of(groups) for worth in _worths(benchmark)]


def _worths(benchmark: Benchmark) -> list[Worth]:
    scored = [group for group in benchmark.groups if benchmark.points(group)]
    curves = _curves(benchmark, [group for group in scored if group.results[0].method == "gold"])
    others = [group for group in scored if group.results[0].method != "gold"]
    found = []
    for group, name in zip(others, setting_names(others), strict=True):
        first = group.results[0]
        for (model, options), curve in curves.items():
            if (first.model in (None, model)) and _train_options(first) == options:
                found.append(_worth(benchmark, group, name, model, curve))
    return found


def _curves(benchmark: Benchmark, groups: Sequence[Aggregate]) -> dict[tuple[str, Any], list[tuple[float, float, int]]]:
    """(encoder, train options) -> (gold rows, mean score, runs) by size; curves of one size are left out."""
    found: dict[tuple[str, Any], list[tuple[float, float, int]]] = {}
    for group in groups:
        first, scores = group.results[0], [point["value"] for point in benchmark.points(group)]
        rows = statistics.fmean(result.num_train + result.num_valid for result in group.results)
        if rows > 0:
            found.setdefault((str(first.model), _train_options(first)), []).append((rows, statistics.fmean(scores), len(scores)))
    return {key: sorted(sizes) for key, sizes in found.items() if len({rows for rows, *_ in sizes}) > 1}


def _train_options(result: Result) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, repr(value)) for name, value in result.options.items() if name.startswith("train.")))


def _worth(benchmark: Benchmark, group: Aggregate, name: str, model: str, curve: Sequence[tuple[float, float, int]]) -> Worth:
    score, low, high = (statistics.fmean(point[end] for point in benchmark.points(group)) for end in ("value", "low", "high"))
    fitted = monotone(curve)
    return Worth(
        benchmark.data, benchmark.task, benchmark.split, benchmark.metric, name, model, score,
        crossing(fitted, score), crossing(fitted, low), crossing(fitted, high), tuple((rows, mean) for rows, mean, _ in curve),
        tuple(result.keys.get("result", "") for result in group.results), any(result.demo for result in group.results),
    )  # fmt: skip


def monotone(sizes: Sequence[tuple[float, float, int]]) -> list[tuple[float, float]]:
    """(rows, score, runs) by rows -> (rows, score), scores never falling: isotonic regression weighted by runs (Barlow et al. 1972)."""
    from sklearn.isotonic import IsotonicRegression

    rows, scores, runs = zip(*sizes, strict=True)
    logs = [math.log(number) for number in rows]
    fitted = IsotonicRegression().fit(logs, scores, sample_weight=runs).predict(logs)
    return list(dict(zip(rows, map(float, fitted), strict=True)).items())


def crossing(curve: Sequence[tuple[float, float]], score: float) -> Crossing:
    """The fewest rows at which a curve that never falls, linear in log rows between its points, reaches `score`."""
    if score < curve[0][1]:
        return Crossing(curve[0][0], "<")
    for (rows, value), (next_rows, next_value) in pairwise(curve):
        if score <= value:
            return Crossing(rows)
        if score <= next_value:
            share = (score - value) / (next_value - value)
            return Crossing(math.exp(math.log(rows) + share * (math.log(next_rows) - math.log(rows))))
    return Crossing(curve[-1][0]) if score == curve[-1][1] else Crossing(curve[-1][0], ">")
