"""Which settings share a figure and a curve of gold rows: those scored on the same gold rows, never smoke data beside published data."""

from collections.abc import Sequence
from dataclasses import dataclass

from japagen.experiments.result import Result
from japagen.reporting.seeds import Aggregate


@dataclass(frozen=True)
class Benchmark:
    """Settings scored on the same gold rows, and how."""

    data: str
    task: str
    split: str
    groups: tuple[Aggregate, ...]

    @property
    def metric(self) -> str:
        return self.groups[0].results[0].metric

    @property
    def heading(self) -> str:
        return f"{self.task} ({self.split}): {self.metric}"

    def score(self, result: Result) -> dict[str, float] | None:
        """{value, low, high} of the metric."""
        return result.scores_on(self.split).metrics.get(result.metric)

    def baselines(self, result: Result) -> dict[str, float]:
        """Baseline -> its value of the metric, where it has one."""
        found = result.scores_on(self.split).baselines
        return {name: score["value"] for name, scores in found.items() if (score := scores.get(result.metric)) is not None}

    def points(self, group: Aggregate) -> list[dict[str, float]]:
        """The scores of a group's runs."""
        return [score for result in group.results if (score := self.score(result)) is not None]


def benchmarks_of(groups: Sequence[Aggregate], further: bool = True) -> list[Benchmark]:
    """Benchmarks in the groups' order, further splits after their task's primary one; without `further` only the primary splits."""
    found: dict[tuple[str, str, str, str | None, bool], list[Aggregate]] = {}
    for group in groups:
        first = group.results[0]
        for scores in first.splits if further else first.splits[:1]:
            found.setdefault((first.data, first.task, scores.name, scores.gold_source, scores.is_primary), []).append(group)
    benchmarks = [Benchmark(data, task, split, tuple(settings)) for (data, task, split, *_), settings in found.items()]
    return [benchmark for benchmark in benchmarks if any(benchmark.points(group) for group in benchmark.groups)]
