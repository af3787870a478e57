"""What scores cost: tokens, seconds and money of a run, and after how many texts writing and training is cheaper than prompting.

Pure arithmetic on results and their configurations. Money is in what the LLM's YAML states its prices in (shipped ones: US dollars).
With `price_per_gpu_hour` it is GPU seconds of LLM and student; with prices of tokens alone the LLM's tokens, and a student's own time is
not priced. A stream that several sizes share counts whole for each of them, as `Result.seconds` and `Result.tokens` have it.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from japagen.config.llm import LLM
from japagen.config.schema import Config
from japagen.experiments.result import Result
from japagen.reporting.report import Report
from japagen.reporting.seeds import Aggregate

HOUR_S = 3600.0
MONEY, SECONDS = "money", "GPU seconds"


@dataclass(frozen=True)
class Cost:
    """The cost of one run. Answers of prompting count as use: nothing is spent before them."""

    llm_s: float
    """Seconds that the LLM wrote or answered, times its GPUs."""
    training_s: float
    tokens: int
    """Prompt and completion."""
    money: float | None
    """All of it; None where no price is known."""
    use_s: float
    """GPU seconds that one text took: the LLM's answer, or the student's prediction."""
    use_money: float | None
    latency_s: float
    """Seconds that one text took, many at a time."""

    @property
    def gpu_s(self) -> float:
        """LLM and training."""
        return self.llm_s + self.training_s

    def making(self, unit: str) -> float | None:
        """Cost before the first text, in MONEY or SECONDS."""
        return self.money if unit == MONEY else self.gpu_s

    def use(self, unit: str) -> float | None:
        """Cost of one text, in MONEY or SECONDS."""
        return self.use_money if unit == MONEY else self.use_s


@dataclass(frozen=True)
class BreakEven:
    """A student against prompting the LLM that wrote its texts, on one task."""

    student: Aggregate
    prompting: Aggregate
    """The best-scoring prompting setting of the task with this LLM."""
    unit: str
    """MONEY where prices are known, else SECONDS."""
    making: float
    """Writing and training, once."""
    student_use: float
    """A text."""
    prompting_use: float
    student_latency_s: float
    """Seconds a text."""
    prompting_latency_s: float

    @property
    def num_texts(self) -> float | None:
        """From so many texts on the student is cheaper; None where prompting stays cheaper."""
        return break_even(self.making, self.student_use, self.prompting_use)


def break_even(making: float, student_use: float, prompting_use: float) -> float | None:
    """making / (prompting_use - student_use); None where prompting takes no more for a text than the student."""
    saved = prompting_use - student_use
    return making / saved if saved > 0 else None


def cost_of(result: Result, config: Config) -> Cost:
    """The cost of one run, by the prices in its LLM's YAML."""
    llm, seconds = config.llm, result.seconds
    llm_s, training_s = seconds.get("generation", 0.0) * llm.gpus, seconds.get("training", 0.0)
    tokens, num = sum(result.tokens.values()), num_scored(result)
    latency_s = seconds.get("scoring" if result.model else "generation", 0.0) / num if num else 0.0
    money = _money(result, config, llm_s, training_s)
    if result.model is not None:
        use_s = latency_s
        hourly = llm.price_per_gpu_hour
        use_money = None if money is None else latency_s / HOUR_S * (hourly or 0.0)
    else:
        use_s, use_money = latency_s * llm.gpus, None if money is None or not num else money / num
    return Cost(llm_s, training_s, tokens, money, use_s, use_money, latency_s)


def num_scored(result: Result) -> int:
    """Gold rows over all splits that were scored: `seconds` are of all of them."""
    return sum(split.num_eval for split in result.splits)


def _money(result: Result, config: Config, llm_s: float, training_s: float) -> float | None:
    llm, judge = config.llm, config.judge if config.curate.judging != "off" else None
    if judge is not None and (_prices(judge) != _prices(llm) or judge.gpus != llm.gpus):
        return None  # seconds and tokens of both are one number
    if llm.price_per_gpu_hour is not None:
        return (llm_s + training_s) / HOUR_S * llm.price_per_gpu_hour
    if result.llm is not None:
        return llm.token_cost(result.tokens.get("prompt", 0), result.tokens.get("completion", 0))
    return None


def _prices(llm: LLM) -> tuple[float | None, ...]:
    return llm.price_per_gpu_hour, llm.token_cost(1e6, 0), llm.token_cost(0, 1e6)


def mean_cost(costs: Sequence[Cost]) -> Cost:
    """Each of its numbers' mean; money is None where any run's is."""

    def mean(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return statistics.fmean(known) if len(known) == len(values) else None

    return Cost(
        statistics.fmean(cost.llm_s for cost in costs),
        statistics.fmean(cost.training_s for cost in costs),
        round(statistics.fmean(cost.tokens for cost in costs)),
        mean([cost.money for cost in costs]),
        statistics.fmean(cost.use_s for cost in costs),
        mean([cost.use_money for cost in costs]),
        statistics.fmean(cost.latency_s for cost in costs),
    )


def costs_of(report: Report) -> dict[int, Cost]:
    """id of each of `report.results` -> its cost."""
    return {id(run.outcome): cost_of(run.outcome, run.config) for run in report.runs if isinstance(run.outcome, Result)}


def group_cost(group: Aggregate, costs: Mapping[int, Cost]) -> Cost:
    """The mean of the group's runs."""
    return mean_cost([costs[id(result)] for result in group.results])


def break_evens(report: Report) -> list[BreakEven]:
    """Each setting with texts of an LLM, against prompting the same LLM on the same gold rows; none where either is missing."""
    costs, found = costs_of(report), []
    prompting: dict[tuple[str | None, ...], list[Aggregate]] = {}
    for group in report.groups:
        if group.results[0].model is None:
            prompting.setdefault(_benchmark(group), []).append(group)
    for group in report.groups:
        if group.results[0].model is None or group.results[0].llm is None or _benchmark(group) not in prompting:
            continue
        best = max(prompting[_benchmark(group)], key=lambda candidate: float("-inf") if candidate.mean is None else candidate.mean)
        student, asked = group_cost(group, costs), group_cost(best, costs)
        unit = MONEY if None not in (student.money, student.use_money, asked.use_money) else SECONDS
        making, student_use, prompting_use = student.making(unit), student.use(unit), asked.use(unit)
        assert making is not None
        assert student_use is not None
        assert prompting_use is not None
        found.append(BreakEven(group, best, unit, making, student_use, prompting_use, student.latency_s, asked.latency_s))
    return found


def _benchmark(group: Aggregate) -> tuple[str | None, ...]:
    result = group.results[0]
    return result.task, result.split, result.data, result.gold_source, result.llm
