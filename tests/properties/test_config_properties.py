"""Settings of any value, wherever they come from: a configuration whose keys can be made, or a ConfigError that names the setting."""

import copy
import json
from dataclasses import asdict, fields, is_dataclass
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from japagen.config.explain import explain
from japagen.config.schema import Config, register_schema
from japagen.config.validation import read_config, to_config
from japagen.errors import ConfigError
from japagen.reporting.filters import choose, parse_where
from japagen.store.keys import canonical_json
from tests.conftest import ROOT, Compose
from tests.properties.hostile import TASKS, few, raw_texts, tried, values
from tests.stubs.setting_keys import stage_keys


def leaves(node: Any, prefix: str = "") -> list[str]:
    """Dotted names of all settings, sections too."""
    found = []
    for one in fields(node):
        found.append(f"{prefix}{one.name}")
        if is_dataclass(getattr(node, one.name)):
            found += leaves(getattr(node, one.name), f"{prefix}{one.name}.")
    return found


SETTINGS = leaves(Config())
near = st.one_of(
    st.sampled_from([0, 1, -1, 2**31, 2**63, 0.0, -0.0, 1.0, 0.5, 1e-9, float("nan"), float("inf"), "", "auto", "off", True, None]), values
)


def is_usable(config: Config) -> None:
    """What comes after can make the keys, and the plan can be written and read back."""
    stage_keys(config)
    content = json.loads(canonical_json(asdict(config)))
    assert read_config(content) == config


@given(st.data(), st.sampled_from(TASKS), st.sampled_from(SETTINGS), near)
@example(None, "jnli", "gold_per_label", "²")
@example(None, "jnli", "train.learning_rate", 10**400)
@example(
    None,
    "jcola",
    "curate",
    {**asdict(Config().curate), "prior": "given", "prior_values": {"acceptable": float("nan"), "unacceptable": 0.5}},
)
@example(None, "jnli", "task", {**asdict(Config().task), "name": "x", "system": "\udcff"})
def test_a_stored_plan_is_read_or_the_setting_named(composed: Compose, data: Any, task: str, name: str, value: Any) -> None:
    content = asdict(composed(f"task={task}"))
    node = content
    *parents, last = name.split(".")
    for parent in parents:
        node = node[parent]
    node[last] = value
    config = tried(lambda: read_config(content), ConfigError, *name.split("."))
    if config is not None:
        is_usable(config)


@pytest.fixture(scope="module")
def whole() -> dict[str, DictConfig]:
    register_schema()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        return {task: compose("config", overrides=[f"task={task}"]) for task in TASKS}


@given(st.sampled_from(TASKS), st.dictionaries(st.sampled_from(SETTINGS), near, min_size=1, max_size=2))
@example("jcola", {"curate.prior": "given", "curate.prior_values": {"acceptable": 0.5, 1: 0.5}})
@example("jcola", {"llm.chat_template_args": {"a": {1: 2}}})
@example("jcola", {"llm.base_url": "http://["})
@example("jcola", {"synthesis.temperatures": "${oc.env:PATH}"})
@example("jcola", {"task": "${oc.env:PATH}"})
@example("jcola", {"judge": "${oc.env:PATH}"})
@example("jcola", {"llm.server.extra_args": "${oc.env:PATH}"})
def test_settings_of_any_value_are_taken_or_named(whole: dict[str, DictConfig], task: str, changes: dict[str, Any]) -> None:
    composed = copy.deepcopy(whole[task])
    try:
        for name, value in changes.items():
            OmegaConf.update(composed, name, value, merge=False)
    except (OmegaConfBaseException, ValueError):  # Hydra's, as it composes
        return
    config = tried(lambda: to_config(composed), ConfigError, *(part for name in changes for part in name.split(".")))
    if config is not None:
        is_usable(config)


overrides = st.one_of(
    st.builds("{}={}".format, st.sampled_from(SETTINGS), st.one_of(raw_texts, near.map(json.dumps))),
    st.builds("{}{}={}".format, st.sampled_from(["+", "++", "~", ""]), raw_texts.filter(bool), raw_texts),
    raw_texts,
)


@few(10)
@given(st.lists(overrides, min_size=1, max_size=2))
@example(["task=0"])
def test_what_is_typed_is_run_or_refused_in_words(given_: list[str]) -> None:
    register_schema()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        try:
            config = to_config(compose("config", overrides=given_))
        except Exception as error:
            if explain(error) is None:
                raise
            return
    is_usable(config)


@given(st.lists(st.one_of(raw_texts, st.builds("{}={}".format, st.sampled_from([*SETTINGS, "task", "split"]), raw_texts)), max_size=3))
def test_filters_choose_or_say_what_there_is(composed: Compose, given_: list[str]) -> None:
    configs = [composed(f"task={task}") for task in TASKS]
    chosen = tried(lambda: choose(parse_where(given_), configs), ConfigError, "--where ") or []
    assert set(chosen) <= set(range(len(configs)))
