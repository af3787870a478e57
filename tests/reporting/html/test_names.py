"""Settings are called by what differs among them, and by no more."""

import random
from dataclasses import replace
from typing import Any

from japagen.experiments.result import Result
from japagen.reporting.seeds import Aggregate
from japagen.reporting.setting_names import full_name, setting_names, size_of
from tests.conftest import Compose
from tests.reporting.html.invented import result_for


def result_of(composed: Compose, *overrides: str, **changes: Any) -> Result:
    return replace(result_for(composed("task=jnli", *overrides), 0.5, random.Random(0)), **changes)


def names_of(*results: Result) -> list[str]:
    return setting_names([Aggregate((result,), 0) for result in results])


def test_what_is_the_same_goes_without_saying(composed: Compose) -> None:
    small, large = (result_of(composed, f"num_per_label={size}") for size in (50, 800))
    assert names_of(small, large) == ["japagen, n=50", "japagen, n=800"]
    assert names_of(small) == ["japagen"]


def test_a_method_without_an_llm_is_no_reason_to_name_the_llm(composed: Compose) -> None:
    few, gold = result_of(composed, "shots=3"), result_of(composed, "method=gold")
    assert names_of(few, gold, result_of(composed, "method=prompting")) == [
        "japagen, 3 shots, n=300",
        "gold, all rows",
        "prompting, 0 shots",
    ]


def test_of_options_those_are_told_that_differ(composed: Compose) -> None:
    same = {"train.epochs": 1}
    results = [result_of(composed, options=same | more) for more in ({}, {"curate.judging": "drop"}, {"curate.judging": "soften"})]
    assert names_of(*results) == ["japagen", "japagen, curate.judging=drop", "japagen, curate.judging=soften"]


def test_names_differ_where_nothing_tells_why(composed: Compose) -> None:
    result = result_of(composed)
    assert names_of(result, result) == ["japagen", "japagen (2)"]


def test_sizes_and_whole_names(composed: Compose) -> None:
    mixed = result_of(composed, "num_per_label=50", "prompt=kadg", gold_per_label="30")
    assert size_of(mixed) == "50 + gold 30"
    assert full_name(mixed) == "jnli, japagen, kadg, 0 shots, demo, demo, n=50 + gold 30"
    assert size_of(result_of(composed, "method=prompting")) == ""
    assert "all rows" in full_name(result_of(composed, "method=gold"))
