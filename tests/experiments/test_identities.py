"""Keys: which settings change which stage, for every setting there is. A setting that neither is
running by the schema nor is listed here fails the test."""

import copy
import math
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.config.fields import settings as schema_settings
from japagen.config.schema import Config
from japagen.experiments import identities
from japagen.experiments.planning import plan_experiment
from japagen.store import keys
from japagen.store.stages import STAGES
from japagen.tasks import Attribute, Example
from tests.conftest import Compose

ALL = {"stream", "dataset", "model", "result"}
DATASET = ALL - {"stream"}
MODEL = {"model", "result"}
NONE: set[str] = set()

CHANGES: dict[str, set[str]] = {
    # what the LLM is told and asked
    "task.kind": ALL, "task.system": ALL, "task.first_instruction": ALL, "task.labels.name": ALL, "task.labels.instruction": ALL,
    "prompt.name": ALL, "synthesis.seed": ALL, "synthesis.texts_per_request": ALL,
    # the LLM itself
    "llm.id": ALL, "llm.dtype": ALL, "llm.quantization": ALL, "llm.system_role": ALL, "llm.chat_template_args": ALL,
    "llm.sampling.temperature": ALL, "llm.sampling.top_p": ALL, "llm.sampling.top_k": ALL, "llm.sampling.repetition_penalty": ALL,
    "llm.sampling.max_tokens": ALL, "llm.reasoning_parser": ALL,
    # which texts are kept
    "num_per_label": DATASET, "task.max_chars": DATASET, "task.min_chars": DATASET, "task.language": DATASET, "task.fields": DATASET,
    "task.label_field": DATASET, "task.labels.word": DATASET, "task.labels.score": DATASET, "curate.max_same_first": DATASET,
    "curate.contamination": DATASET,
    "curate.near_duplicates": DATASET, "task.several_lines": DATASET,
    # the student
    "seed": MODEL, "task.target": MODEL, "task.metric": MODEL, "model.id": MODEL, "model.max_length": MODEL, "model.bf16": MODEL,
    "model.word_splitter": MODEL,
    "train.epochs": MODEL, "train.batch_size": MODEL, "train.learning_rate": MODEL, "train.warmup_ratio": MODEL,
    "train.weight_decay": MODEL, "train.label_smoothing": MODEL, "train.patience": MODEL, "train.validations_per_epoch": MODEL,
    "train.fixed_steps": MODEL,
    # names for people
    **dict.fromkeys(["task.name", "task.title", "llm.name", "model.name", "method.name", "curate.name"], NONE),
    **dict.fromkeys(["llm.license", "llm.license_note", "llm.price_per_gpu_hour", "llm.price_per_million_tokens", "llm.seen"], NONE),
    "llm.license_name_prefix": NONE,
    **dict.fromkeys(["llm.verified", "llm.demo", "model.license", "model.verified", "model.demo", "model.seen"], NONE),
    # enter by what they lead to: the revision found, the exemplars drawn, the gold rows read
    **dict.fromkeys(["llm.revision", "model.revision", "model.learning_rate", "shots", "shots_seed", "gold_per_label"], NONE),
    **dict.fromkeys(["data.source", "data.split", "data.train_source", "data.train_file", "data.eval_file", "task.label_map"], NONE),
    "data.strip_source": NONE,
    # prompt=kadg only
    **dict.fromkeys(["task.labels.described", "task.attributes"], NONE),
    # which gold rows, and how they are cut: enters by their checksum
    "task.gold_chars": NONE, "task.published.also_scored": NONE, "task.published.unavailable": NONE,
    **dict.fromkeys([f"task.published.{name}" for name in ("name", "license", "homepage", "splits", "train_sources")], NONE),
    # how the student is trained with doubtful labels
    "train.ensemble_momentum": MODEL, "train.ensemble_threshold": NONE, "train.robust_q": MODEL,  # a threshold of what is off says nothing
    # what is drawn for a request
    "synthesis.temperatures": ALL, "synthesis.verbalized": ALL, "prompt.variants": ALL,
    "prompt.personas": NONE, "task.labels.variants": NONE,
    # other methods, and judging: enter by the keys of the LLM's answers, where there are any
    **dict.fromkeys([f"method.{name}" for name in ("answer", "template", "calibrate", "max_tokens", "gold_weight", "num_texts")], NONE),
    **dict.fromkeys(["judge", "curate.judging", "curate.judge_answer", "curate.judge_threshold", "curate.keep_likeliest"], NONE),
    **dict.fromkeys(["task.question", "task.labels.meaning", "data.unlabelled_file", "curate.prior_values"], NONE),
    "curate.prior": DATASET,
    # what an LLM or a run may take: a result is the same or there is none
    **dict.fromkeys(["llm.max_model_len", "llm.trust_remote_code", "model.trust_remote_code", "synthesis.max_rows_factor"], NONE),
    # where and how fast
    **{one.name: NONE for one in schema_settings(Config()) if one.facts.running},
}  # fmt: skip

EXEMPLARS = {"entailment": (Example(("犬が走る。", "動物が走る。"), "entailment"),)}


def stage_keys(
    config: Config, llm: str = "r1", encoder: str = "r2", evaluation: str | None = "e", exemplars: Any = EXEMPLARS
) -> dict[str, str]:
    stream = keys.stage_key("stream", identities.stream_identity(config, llm, exemplars))
    dataset = keys.stage_key("dataset", identities.dataset_identity(config, stream, evaluation, {}))
    model = keys.stage_key("model", identities.model_identity(config, dataset, encoder))
    result = keys.stage_key("result", identities.result_identity(config.task, model, evaluation, 1))
    return {"stream": stream, "dataset": dataset, "model": model, "result": result}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {stage for stage in before if before[stage] != after[stage]}


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


def another(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return value + "x"
        case list():
            return [*value, "x"]
        case dict():
            return {**value, "x": "x"}
    return "x"


def with_change(config: Config, path: str) -> Config:
    config = copy.deepcopy(config)
    *parents, name = path.split(".")
    node: Any = config
    for parent in parents:
        node = getattr(node, parent)
        node = node[0] if isinstance(node, list) else node
    value = 1.0 if path == "task.labels.score" else another(getattr(node, name))
    setattr(node, name, value)
    return config


def test_the_table_lists_every_setting(composed: Compose) -> None:
    assert sorted(CHANGES) == sorted(settings(composed()))


@pytest.mark.parametrize("path", sorted(CHANGES))
def test_a_setting_changes_exactly_its_stages(composed: Compose, path: str) -> None:
    config = composed()
    assert changed(stage_keys(config), stage_keys(with_change(config, path))) == CHANGES[path]


def test_knowledge_enters_only_where_the_prompt_shows_it(composed: Compose) -> None:
    config = composed("task=news", "prompt=kadg")
    assert changed(stage_keys(config), stage_keys(with_change(config, "task.labels.described"))) == ALL
    assert changed(stage_keys(config), stage_keys(with_change(config, "task.labels.instruction"))) == NONE
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
    found = {keys.stage_key("stream", identities.stream_identity(config, "r1", EXEMPLARS, personas)) for personas in others}
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
