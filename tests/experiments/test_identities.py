"""Keys: which settings change which stage, for every setting there is. A setting that neither is
running by the schema nor is listed here fails the test."""

import copy
import math
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.experiments import identities
from japagen.experiments.planning import plan_experiment
from japagen.store import keys
from japagen.store.stages import STAGES
from japagen.tasks import Attribute, Example
from tests.conftest import Compose
from tests.stubs.setting_keys import ALL, CHANGES, DATASET, EXEMPLARS, MODEL, changed, stage_keys, with_change


def settings(node: Any, prefix: str = "") -> list[str]:
    """Dotted paths of all settings; `task.labels` goes on into a label."""
    paths = []
    for one in fields(node):
        value, path = getattr(node, one.name), f"{prefix}{one.name}"
        if path == "task.labels":
            paths += settings(value[0], f"{path}.")
        elif is_dataclass(value):
            paths += settings(value, f"{path}.")
        else:
            paths.append(path)
    return paths


def test_the_table_lists_every_setting(composed: Compose) -> None:
    assert sorted(CHANGES) == sorted(settings(composed()))


@pytest.mark.parametrize("path", sorted(CHANGES))
def test_a_setting_changes_exactly_its_stages(composed: Compose, path: str) -> None:
    config = composed()
    assert changed(stage_keys(config), stage_keys(with_change(config, path))) == CHANGES[path]


def test_knowledge_enters_only_where_the_prompt_shows_it(composed: Compose) -> None:
    config = composed("task=news", "prompt=kadg")
    assert changed(stage_keys(config), stage_keys(with_change(config, "task.labels.described"))) == ALL
    assert changed(stage_keys(config), stage_keys(with_change(config, "task.labels.instruction"))) == DATASET  # a reply that repeats it
    config = composed("task=marcja", "prompt=kadg")
    other = copy.deepcopy(config)
    other.task.attributes[0].values = ["本", "傘"]
    assert changed(stage_keys(config), stage_keys(other)) == ALL


def test_what_settings_lead_to_enters_keys(composed: Compose) -> None:
    config = composed()
    before = stage_keys(config)
    other = {"entailment": (Example(("猫が走る。", "動物が走る。"), "entailment"),)}
    assert changed(before, stage_keys(config, llm="r9")) == ALL
    assert changed(before, stage_keys(config, exemplars=other)) == ALL
    assert changed(before, stage_keys(config, encoder="r9")) == MODEL
    assert changed(before, stage_keys(config, evaluation="f")) == DATASET
    assert changed(before, stage_keys(config, clusters="c")) == {"result"}, "which rows are drawn together decides the intervals"
    off = composed("curate.contamination=off")
    assert changed(stage_keys(off), stage_keys(off, evaluation="f")) == {"result"}


def test_stages_differ_by_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = keys.stage_key("model", {})
    monkeypatch.setitem(STAGES, "model", replace(STAGES["model"], version=99))
    assert keys.stage_key("model", {}) != before


@pytest.mark.parametrize("value", [math.nan, math.inf, {1: 2}, {"a": {3, 4}}, object(), [b"x"]])
def test_what_has_no_single_serialisation_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="identity"):
        keys.canonical_json(value)


@given(st.dictionaries(st.text(), st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.lists(st.text()))))
def test_the_order_of_keys_does_not_matter(identity: dict[str, Any]) -> None:
    backwards = dict(reversed(identity.items()))
    assert keys.stage_key("stream", identity) == keys.stage_key("stream", backwards)


@given(st.lists(st.text(min_size=1), min_size=2, max_size=6, unique=True))
def test_the_order_of_rows_matters(texts: list[str]) -> None:
    rows = [Example((text,), "a") for text in texts]
    assert keys.examples_checksum(rows) != keys.examples_checksum(rows[::-1])
    assert keys.examples_checksum(rows) == keys.examples_checksum([replace(row, id="other") for row in rows])


PERSONAS = Attribute("persona", ["店の主人", "学生"], "{value}")


def test_options_of_the_text_generation_enter_only_where_they_are_on(composed: Compose) -> None:
    config = composed()
    plain = identities.stream_identity(config, "r1", EXEMPLARS)
    for option in ("synthesis.temperatures=[1.0]", "synthesis.verbalized=true", "prompt.variants=true"):
        group, name = option.partition("=")[0].split(".")
        on = copy.deepcopy(config)
        setattr(getattr(on, group), name, [1.0] if name == "temperatures" else True)
        found = identities.stream_identity(on, "r1", EXEMPLARS)
        added = {"prompt": found["prompt"].keys() - plain["prompt"].keys(), "synthesis": found.keys() - plain.keys()}
        assert added == {"prompt": set(), "synthesis": set()} | {group: {name}}
    assert identities.stream_identity(config, "r1", EXEMPLARS, None, "") == plain
    assert identities.stream_identity(config, "r1", EXEMPLARS, None, "answers")["prompt"]["attributes_key"] == "answers"


def test_persons_enter_by_what_they_are(composed: Compose) -> None:
    config = composed()
    others = [None, PERSONAS, replace(PERSONAS, values=["学生", "店の主人"]), replace(PERSONAS, phrase="人: {value}")]
    found = {
        keys.stage_key("stream", identities.stream_identity(config, "r1", EXEMPLARS, {"personas": personas} if personas else {}))
        for personas in others
    }
    assert len(found) == len(others)


def test_wordings_enter_only_with_variants(composed: Compose) -> None:
    off = composed()
    on = replace(off, prompt=replace(off.prompt, variants=True))
    for config, is_new in ((off, False), (on, True)):
        before, after = (identities.stream_identity(one, "r1", EXEMPLARS) for one in (config, with_change(config, "task.labels.variants")))
        assert (before != after) == is_new


@pytest.mark.parametrize(
    ("on", "changes", "keeps"),
    [
        (["curate.judging=drop"], ["curate.judging=soften"], ["stream", "judgements"]),
        (["curate.judging=drop"], ["curate.judge_threshold=0.7"], ["stream", "judgements"]),
        (["curate.judging=drop"], ["curate.judge_answer=channel"], ["stream"]),
        (["curate.judging=drop"], ["+llm@judge=demo", "judge.dtype=bfloat16"], ["stream"]),
        (["curate.keep_likeliest=0.5"], ["curate.keep_likeliest=0.7"], ["stream", "likelihoods"]),
        (["curate.prior=given", "curate.prior_values={acceptable: 0.7, unacceptable: 0.3}"],
         ["curate.prior_values={acceptable: 0.6, unacceptable: 0.4}"], ["stream"]),
        (["method=mixed"], ["method.gold_weight=2"], ["stream", "dataset"]),
        (["method=mixed"], ["gold_per_label=3"], ["stream", "dataset"]),
        (["method=annotate"], ["method.answer=channel"], []),
        (["method=annotate"], ["method.calibrate=true"], []),
        (["method=annotate"], ["method.template=1"], []),
        (["method=annotate"], ["method.num_texts=4"], []),
        (["method=annotate"], ["task.question=x"], []),
        (["method=annotate", "method.answer=free"], ["method.max_tokens=8"], []),
        (["method=prompting"], ["method.answer=free"], []),
        (["train.ensemble_momentum=0.8"], ["train.ensemble_threshold=0.5"], ["stream", "dataset"]),
    ],
)  # fmt: skip
def test_an_option_that_is_on_changes_what_it_makes(composed: Compose, on: list[str], changes: list[str], keeps: list[str]) -> None:
    before, after = (plan_experiment(composed("task=jcola", *overrides)).keys for overrides in (on, [*on, *changes]))
    assert {stage for stage in before if before[stage] == after[stage]} == set(keeps)


def test_what_is_off_changes_nothing(composed: Compose) -> None:
    plain = plan_experiment(composed("task=jcola")).keys
    off = ["method.answer=channel", "curate.judge_threshold=0.9", "train.ensemble_threshold=0.3", "method.num_texts=7", "judge=null"]
    assert plan_experiment(composed("task=jcola", *off)).keys == plain
