"""What the schema's fields state: a docstring each, ranges in words, and which settings are running, as --help lists them."""

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, get_args

import pytest
import yaml

from japagen.config.fields import Facts, facts_of, hints_of, select, setting, settings
from japagen.config.llm import LLM
from japagen.config.schema import Config
from tests.stubs.run_py import run_py


def classes(kind: Any) -> Iterator[type]:
    """Every dataclass of the schema, also those that lists and mappings hold."""
    if isinstance(kind, type) and is_dataclass(kind):
        yield kind
        for hint in hints_of(kind).values():
            yield from classes(hint)
    for argument in get_args(kind):
        yield from classes(argument)


CLASSES = sorted(set(classes(Config)), key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_field_has_a_docstring(kind: type) -> None:
    (node,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(node, ast.ClassDef)
    documented = {
        before.target.id
        for before, after in zip(node.body, node.body[1:], strict=False)
        if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name)
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str)
    }
    assert [one.name for one in fields(kind) if one.name not in documented] == []
    assert ast.get_docstring(node)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_fact_is_known_and_every_default_allowed(kind: type) -> None:
    known = facts_of(kind)
    for one in fields(kind):
        facts = known[one.name]
        if isinstance(one.default, int | float):
            assert facts.holds(one.default)
        assert not facts.choices or one.default is None or one.default in facts.choices


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"above": 0}, "above 0"),
        ({"above": 0, "most": 1, "or_else": ", or null"}, "above 0, up to 1, or null"),
        ({"least": 0, "below": 1}, "0 up to, not including, 1"),
        ({"least": 0, "most": 1, "at_least": "off"}, "0 (off) up to 1"),
    ],
)
def test_ranges_are_told_in_words(facts: dict[str, Any], words: str) -> None:
    assert Facts(**facts).range == words


def test_a_fact_that_is_misspelt_is_refused() -> None:
    @dataclass
    class Section:
        name: str = setting("x", runing=True)

    with pytest.raises(TypeError, match="runing"):
        facts_of(Section)


def test_sections_hand_their_facts_down() -> None:
    running = {one.name for one in settings(Config(judge=LLM())) if one.facts.running}
    assert {"site.llm.cpus", "logger.wandb", "llm.server.port", "judge.server.port", "judge.base_url", "train.keep"} < running
    assert not running & {"seed", "llm.sampling.top_p", "data.eval_file"}
    content = {"site": {"name": "x"}, "judge": {"gpus": 2, "id": "y"}, "unknown": {"a": 1}}
    assert select(content, Config, lambda facts: facts.running) == {"site": {"name": "x"}, "judge": {"gpus": 2}}
    assert select(content, Config, lambda facts: not facts.running) == {"judge": {"id": "y"}, "unknown": {"a": 1}}


@pytest.mark.parametrize("options", [[], ["--resolve"]])
def test_help_lists_running_settings_apart(options: list[str]) -> None:
    printed = run_py("--help", "+llm@judge=demo", *options)
    assert printed.returncode == 0, printed.stderr
    texts = re.match(r".*made \(defaults\):\n(.*)\nRunning settings.*?:\n(.*)\n\n\nGroups may", printed.stdout, re.S)
    assert texts is not None
    identity, running = (yaml.safe_load(text) for text in texts.groups())
    expected = list(settings(Config(judge=LLM())))
    assert set(leaves(identity)) == {one.name for one in expected if not one.facts.running}
    assert set(leaves(running)) == {one.name for one in expected if one.facts.running}
    assert identity["train"]["learning_rate"] == (identity["model"]["learning_rate"] if options else "${model.learning_rate}")


def leaves(content: Any, kind: Any = Config, where: str = "") -> Iterator[str]:
    """Dotted names of the settings in a listing."""
    for name, value in content.items():
        below = (get_args(hints_of(kind)[name]) or [hints_of(kind)[name]])[0]
        if isinstance(value, dict) and is_dataclass(below):
            yield from leaves(value, below, f"{where}{name}.")
        else:
            yield f"{where}{name}"
