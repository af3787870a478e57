"""What scores cost: prices, sharing between making and use, and where a student becomes cheaper than prompting."""

import random
from dataclasses import replace

import pytest

from japagen.config.llm import LLM
from japagen.reporting.costs import MONEY, SECONDS, break_even, break_evens, cost_of, mean_cost, num_scored
from japagen.reporting.report import Report, Run
from tests.conftest import Compose
from tests.reporting.html.invented import interval, key_of, result_for, sweep_named

RNG = random.Random(0)


def test_break_even_is_where_the_savings_pay_for_the_making() -> None:
    assert break_even(100.0, 0.1, 0.6) == pytest.approx(200)
    assert break_even(0.0, 0.1, 0.6) == 0
    assert break_even(100.0, 0.6, 0.6) is None
    assert break_even(100.0, 0.7, 0.6) is None


def test_a_gpu_hours_price_pays_for_llm_and_student(composed: Compose) -> None:
    config = composed("task=jnli", "llm=qwen3-8b")
    config.llm.gpus, config.llm.price_per_gpu_hour = 2, 3.0
    result = replace(result_for(config, 0.6, RNG), seconds={"generation": 1800.0, "training": 600.0, "scoring": 12.0}, num_eval=1200)
    cost = cost_of(result, config)
    assert (cost.llm_s, cost.training_s, cost.gpu_s) == (3600, 600, 4200)
    assert cost.money == pytest.approx(4200 / 3600 * 3.0)
    assert cost.use_s == cost.latency_s == pytest.approx(0.01)
    assert cost.use_money == pytest.approx(0.01 / 3600 * 3.0)
    assert cost.making(MONEY) == cost.money
    assert cost.making(SECONDS) == cost.gpu_s


def test_a_price_of_tokens_pays_for_the_llm_alone(composed: Compose) -> None:
    config = composed("task=jnli", "llm=qwen3-8b")
    config.llm.price_per_gpu_hour, config.llm.price_per_million_tokens = None, 0.5
    result = replace(result_for(config, 0.6, RNG), tokens={"prompt": 3_000_000, "completion": 1_000_000})
    cost = cost_of(result, config)
    assert cost.money == pytest.approx(2.0)
    assert cost.use_money == 0
    config.llm.price_per_million_completion_tokens = 4.0
    assert cost_of(result, config).money == pytest.approx(5.5)
    gold = composed("task=jnli", "method=gold", "llm=qwen3-8b")
    gold.llm.price_per_gpu_hour, gold.llm.price_per_million_tokens = None, 0.5
    assert cost_of(result_for(gold, 0.9, RNG), gold).money is None


def test_without_a_price_there_are_seconds_and_no_money(composed: Compose) -> None:
    config = composed("task=jnli", "llm=demo")
    cost = cost_of(result_for(config, 0.6, RNG), config)
    assert cost.money is None
    assert cost.use_money is None
    assert cost.gpu_s > 0


def test_a_judge_of_another_price_leaves_the_money_unknown(composed: Compose) -> None:
    config = composed("task=jnli", "llm=qwen3-8b")
    result = result_for(config, 0.6, RNG)
    config.judge = LLM(name="judge", price_per_gpu_hour=9.0)
    assert cost_of(result, config).money is not None, "it judges nothing"
    config.curate.judging = "drop"
    assert cost_of(result, config).money is None


def test_answers_to_further_splits_are_texts_too(composed: Compose) -> None:
    config = composed("task=jcola", "llm=qwen3-8b", "method=prompting")
    further = {"ood": {"metrics": {"mcc": interval(0.2)}, "baselines": {}, "num_eval": 800, "gold_source": "JCoLA ood"}}
    result = replace(result_for(config, 0.4, RNG), num_eval=1200, also_scored=further, seconds={"generation": 1000.0, "scoring": 3.0})
    cost = cost_of(result, config)
    assert num_scored(result) == 2000
    assert cost.latency_s == pytest.approx(0.5)
    assert cost.money is not None
    assert cost.use_money == pytest.approx(cost.money / 2000)


def test_a_task_without_gold_costs_something_and_is_used_for_nothing(composed: Compose) -> None:
    config = composed("task=jnli", "llm=qwen3-8b")
    result = replace(result_for(config, 0.4, RNG), split=None, metrics={}, num_eval=0)
    cost = cost_of(result, config)
    assert cost.latency_s == 0
    assert cost.money is not None
    assert cost.money > 0


def test_a_mean_has_money_only_where_all_runs_have(composed: Compose) -> None:
    config = composed("task=jnli", "llm=qwen3-8b")
    cost = cost_of(result_for(config, 0.6, RNG), config)
    assert mean_cost([cost, cost]).money == pytest.approx(cost.money)
    assert mean_cost([cost, replace(cost, money=None)]).money is None


def report_of(composed: Compose, llm: str, *arms: tuple[str, float, float]) -> Report:
    """Runs of jnli: (method, score, generation seconds)."""
    runs = []
    for number, (method, value, seconds) in enumerate(arms):
        config = composed("task=jnli", f"llm={llm}", f"method={method}")
        result = result_for(config, value, RNG, settings=key_of(number))
        keys = result.keys | {"result": key_of("result", number)}
        runs.append(Run("s", config, replace(result, seconds=result.seconds | {"generation": seconds}, keys=keys)))
    return Report((sweep_named("s"),), tuple(runs))


def test_students_are_held_against_the_prompting_that_scores_best(composed: Compose) -> None:
    report = report_of(composed, "qwen3-8b", ("japagen", 0.6, 360.0), ("prompting", 0.4, 1.0), ("prompting", 0.7, 1200.0), ("gold", 0.9, 0))
    (break_even,) = break_evens(report)
    assert break_even.prompting.results[0] is report.results[2]
    assert break_even.unit == MONEY
    assert break_even.prompting_latency_s == pytest.approx(1.0)
    training = report.results[0].seconds["training"]
    assert break_even.num_texts == pytest.approx((360 + training) / (1.0 - 6.0 / 1200))


def test_without_prices_break_even_is_told_in_seconds(composed: Compose) -> None:
    (break_even,) = break_evens(report_of(composed, "demo", ("japagen", 0.6, 360.0), ("prompting", 0.7, 1200.0)))
    assert break_even.unit == SECONDS
    assert break_even.num_texts is not None


def test_prompting_that_takes_less_than_the_student_stays_cheaper(composed: Compose) -> None:
    (break_even,) = break_evens(report_of(composed, "demo", ("japagen", 0.6, 360.0), ("prompting", 0.7, 0.001)))
    assert break_even.num_texts is None


def test_there_is_no_break_even_without_prompting_of_the_same_llm(composed: Compose) -> None:
    report = report_of(composed, "demo", ("japagen", 0.6, 360.0))
    other = report_of(composed, "qwen3-8b", ("prompting", 0.7, 1200.0))
    assert break_evens(report) == []
    assert break_evens(Report(report.sweeps, report.runs + other.runs)) == []
