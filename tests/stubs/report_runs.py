"""Runs of a report, without a store: results of composed experiments, and comparisons between them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from japagen.evaluation.significance import Difference
from japagen.experiments.result import Failure, Result
from japagen.reporting.comparisons import Comparison
from japagen.reporting.pivots import Pivot, pivots
from japagen.reporting.report import Report, Run
from tests.conftest import Compose
from tests.stubs.results import RESULT

GOLD: dict[str, Any] = {"method": "gold", "prompt": None, "llm": None, "num_per_label": None, "gold_per_label": "all", "demo": False}
PROMPTING: dict[str, Any] = {"method": "prompting", "model": None, "num_per_label": None}


class Runs:
    """Runs of a report, made one setting at a time."""

    def __init__(self, composed: Compose) -> None:
        self.composed = composed
        self.runs: list[Run] = []

    def add(self, scores: Sequence[float | None], *overrides: str, **fields: Any) -> list[Result]:
        """A run a score, of one setting, with the seeds 0, 1, …"""
        made = []
        for seed, score in enumerate(scores):
            config = replace(self.composed(*overrides), seed=seed)
            value = None if score is None else {"value": score, "low": 0.0, "high": 1.0}
            known = {"task": config.task.name, "metric": config.task.metric, "shots": config.shots, "metrics": {config.task.metric: value}}
            known |= {"baselines": {name: {config.task.metric: value} for name in ("majority", "tfidf")}, "seeds": {"seed": seed}}
            known |= {
                "settings": f"{overrides} {fields}",
                "keys": {"result": f"r{len(self.runs)}"},
                "gold_source": f"{config.task.name} valid",
            }
            made.append(replace(RESULT, **known | fields))
            self.runs.append(Run("monday", config, made[-1]))
        return made

    def fail(self, *overrides: str, settings: str = "", seed: int = 9, is_pending: bool = False) -> None:
        config = replace(self.composed(*overrides), seed=seed)
        name = f"{config.task.name}-{config.method.name}-seed{seed}"
        self.runs.append(Run("monday", config, Failure(name, config.task.name, "no memory", settings), is_pending))

    def pivots(self, *comparisons: Comparison) -> Sequence[Pivot]:
        return pivots(Report((), tuple(self.runs), comparisons))

    def pivot(self, *comparisons: Comparison) -> Pivot:
        (found,) = self.pivots(*comparisons)
        return found


def compared(first: Sequence[Result], second: Sequence[Result], p: float, split: str = "valid") -> Comparison:
    keys = [tuple(result.keys["result"] for result in results) for results in (first, second)]
    difference = Difference(0.1, 0.05, 0.15, p)
    return Comparison(
        first[0].task,
        "published",
        split,
        first[0].metric,
        "a",
        "b",
        "",
        "",
        len(first),
        len(second),
        9,
        9,
        False,
        difference,
        p,
        first_keys=keys[0],
        second_keys=keys[1],
    )
