"""Which settings stand in one figure: those scored on the same gold rows, so that smoke data never stand beside published ones."""

from dataclasses import dataclass

from japagen.experiments.result import PRIMARY, Result, Scores
from japagen.reporting.report import Report
from japagen.reporting.seeds import Aggregate


@dataclass(frozen=True)
class Place:
    """Settings scored on the same gold rows, and how."""

    data: str
    task: str
    split: str
    """As tables name it."""
    part: str
    """PRIMARY, or the key of Result.also_scored."""
    groups: tuple[Aggregate, ...]

    @property
    def metric(self) -> str:
        return self.groups[0].results[0].metric

    @property
    def heading(self) -> str:
        return f"{self.task} ({self.split}): {self.metric}"

    def score(self, result: Result) -> dict[str, float] | None:
        """{value, low, high} of the metric."""
        scores: Scores = result.metrics if self.part == PRIMARY else result.also_scored[self.part]["metrics"]
        return scores.get(result.metric)

    def baselines(self, result: Result) -> dict[str, float]:
        """Baseline -> its value of the metric, where it has one."""
        found = result.baselines if self.part == PRIMARY else result.also_scored[self.part]["baselines"]
        return {name: score["value"] for name, scores in found.items() if (score := scores.get(result.metric)) is not None}

    def points(self, group: Aggregate) -> list[dict[str, float]]:
        """The scores of a group's runs."""
        return [score for result in group.results if (score := self.score(result)) is not None]


def places_of(report: Report, further: bool = True) -> list[Place]:
    """In the runs' order, those splits behind their task's that stand beside it; without `further` only the primary ones."""
    found: dict[tuple[str, str, str, str | None, str], list[Aggregate]] = {}
    for group in report.groups:
        first = group.results[0]
        if first.split is None:
            continue
        for part in (PRIMARY, *(first.also_scored if further else ())):
            source = first.gold_source if part == PRIMARY else first.also_scored[part].get("gold_source")
            found.setdefault((first.data, first.task, part or first.split, source, part), []).append(group)
    places = [Place(data, task, split, part, tuple(groups)) for (data, task, split, _, part), groups in found.items()]
    return [place for place in places if any(place.points(group) for group in place.groups)]
