"""Results united over seeds: means, standard deviations, and how many draws of the data they are of."""

import statistics
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from japagen.experiments.result import Failure, Outcome, Result

SEEDS = ("seed", "shots_seed", "synthesis.seed", "template")
"""What runs of the same settings may differ in; `template` is the wording of the question where the LLM answers itself."""


_PLAIN = {
    "task": str, "split": str, "method": str, "prompt": str, "protocol": str, "llm": str, "model": str, "data": str,
    "gold_source": str, "train_source": str, "demo": bool, "shots": int, "gold_per_label": str, "num_per_label": int,
}  # fmt: skip
"""Fields of Result that are columns as they are, before the seeds and scores."""


@dataclass(frozen=True)
class Aggregate:
    """Experiments that differ in their seeds only."""

    results: tuple[Result, ...]
    """One a result: experiments that come to the same (another shots_seed where no gold row is shown) count once."""
    num_failed: int

    @property
    def data(self) -> str | None:
        """Where the gold data come from; None without gold data."""
        return self.results[0].data if self.results[0].split else None

    @property
    def scores(self) -> list[float]:
        """The primary metric of every run that has a value of it."""
        return [result.primary["value"] for result in self.results if result.primary is not None]

    @property
    def mean(self) -> float | None:
        """None without a score."""
        return statistics.fmean(self.scores) if self.scores else None

    @property
    def sd(self) -> float | None:
        """Sample standard deviation; None for fewer than two scores."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else None

    @property
    def seeds(self) -> dict[str, tuple[int, ...]]:
        """Each of SEEDS that takes part -> its values, in order."""
        found = {name: {result.seeds[name] for result in self.results if name in result.seeds} for name in SEEDS}
        return {name: tuple(sorted(values)) for name, values in found.items() if values}

    @property
    def varied(self) -> tuple[str, ...]:
        """The seeds with more than one value."""
        return tuple(name for name, values in self.seeds.items() if len(values) > 1)

    @property
    def draws(self) -> tuple[Hashable, ...]:
        """Each result's draw of the data: equal for those on the same data. Where nothing is drawn each result is one by itself."""
        return tuple(tuple(result.draw.items()) or number for number, result in enumerate(self.results))

    @property
    def num_draws(self) -> int:
        """Different draws, which are what repeats a setting; runs where nothing is drawn."""
        return len(set(self.draws))

    @property
    def seeds_text(self) -> str:
        """'seed 0, 1; shots_seed 0, 6; 2 draws': the seeds that varied, the first one where none did, and the draws of the data.

        Seeds of the data that follow `seed` (the default) aren't named again; without draws their number isn't either.
        """
        names = [name for name in self.varied or tuple(self.seeds)[:1] if not self._follows(name)]
        seeds = [f"{name} {', '.join(map(str, self.seeds[name]))}" for name in names]
        return "; ".join(filter(None, [*seeds, self.draws_text]))

    @property
    def draws_text(self) -> str:
        """'3 draws'; '' where nothing is drawn."""
        return f"{self.num_draws} draw{'' if self.num_draws == 1 else 's'}" if any(result.draw for result in self.results) else ""

    def _follows(self, name: str) -> bool:
        """Whether a seed of the data is `seed` in every result."""
        found = [(result.seeds.get(name), result.seeds.get("seed")) for result in self.results]
        return name in ("shots_seed", "synthesis.seed") and all(own == seed for own, seed in found)


def aggregate(outcomes: Sequence[Outcome]) -> list[Aggregate]:
    """Groups in the order of their first results; a group has one result at least."""
    groups: dict[tuple[Any, ...], dict[Any, Result]] = {}
    for number, outcome in enumerate(outcomes):
        if isinstance(outcome, Result):
            groups.setdefault(_settings(outcome), {}).setdefault(outcome.keys.get("result", number), outcome)
    found = [part for group in groups.values() for part in _same_settings(list(group.values()))]
    failed = [_group_of(outcome, found) for outcome in outcomes if isinstance(outcome, Failure)]
    return [Aggregate(tuple(results), failed.count(number)) for number, results in enumerate(found)]


def _settings(result: Result) -> tuple[Any, ...]:
    """The values that grouped results share; results written before settings keys existed are grouped by their fields."""
    plain = tuple(getattr(result, name) for name in (*_PLAIN, "metric", "num_eval") if name not in ("task", "llm", "model"))
    return (result.settings, *(() if result.settings else plain), result.task, result.llm, result.model, result.split, result.data)


def _same_settings(results: list[Result]) -> list[list[Result]]:
    """All of them, unless two with the same seeds show that they differ in something that isn't written down: then each alone."""
    seeds = {tuple(sorted(result.seeds.items())) for result in results}
    return [results] if len(seeds) == len(results) else [[result] for result in results]


def _group_of(failure: Failure, groups: Sequence[Sequence[Result]]) -> int | None:
    """The number of the group that a failure belongs to: by its settings, else by its name where that fits one group only."""
    if failure.settings:
        fitting = [number for number, group in enumerate(groups) if group[0].settings == failure.settings]
    else:
        fitting = [number for number, group in enumerate(groups) if _stem(group[0].name) == _stem(failure.name)]
    return fitting[0] if len(fitting) == 1 else None


def _stem(name: str) -> str:
    return name.rpartition("-seed")[0]
