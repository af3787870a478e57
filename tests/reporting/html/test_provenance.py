"""The command that repeats a run: Hydra reads back every value as it was."""

import random
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from japagen.reporting.html.provenance import facts_of, run_command, sweep_command
from japagen.reporting.report import Report, Run
from tests.conftest import Compose
from tests.reporting.html.invented import result_for, sweep_named


def command_of(composed: Compose, *overrides: str, typed: tuple[str, ...] = ("run.py",), **changes: Any) -> list[str]:
    config = composed(*overrides)
    result = replace(result_for(config, 0.5, random.Random(0)), **changes)
    return shlex.split(run_command(Report((sweep_named(command=typed),), (Run("methods", config, result),)), "methods", config, result))


def test_a_run_is_repeated_by_its_groups_sizes_and_seeds(composed: Compose) -> None:
    command = command_of(composed, "task=jnli", "llm=qwen3-8b", "shots=3", "num_per_label=70", "seed=4", "data=published")
    assert command[:2] == ["python", "run.py"]
    for part in ("task=jnli", "method=japagen", "llm=qwen3-8b", "shots=3", "num_per_label=70", "seed=4", "data=published", "model=demo"):
        assert part in command
    assert not any(part.startswith("gold_per_label") for part in command)


def test_the_command_composes_to_the_same_experiment(composed: Compose) -> None:
    overrides = (
        "task=jsts",
        "shots=3",
        "num_per_label=70",
        "seed=4",
        "curate.judging=soften",
        "train.robust_q=0.7",
        "data.strip_source=false",
    )
    options = {"curate.judging": "soften", "train.robust_q": 0.7}
    assert composed(*command_of(composed, *overrides, options=options)[2:]) == composed(*overrides)


def test_a_base_model_is_asked_as_it_was(composed: Compose) -> None:
    overrides = ("task=jcola", "shots=3", "llm.chat_template=plain", "llm.stop=['\n\n','。']", "num_per_label=70")
    assert composed(*command_of(composed, *overrides)[2:]) == composed(*overrides)
    assert not any(part.startswith(("llm.stop", "llm.chat")) for part in command_of(composed, "task=jcola"))


def test_a_judge_is_named_as_the_command_line_takes_it(composed: Compose) -> None:
    command = command_of(composed, "curate.judging=drop", options={"curate.judging": "drop", "judge": "demo"})
    assert "+llm@judge=demo" in command
    assert composed(*command[2:]).judge is not None


def test_an_llm_that_answers_itself_has_no_student(composed: Compose) -> None:
    command = command_of(composed, "method=prompting", seeds={"seed": 0, "shots_seed": 0, "template": 2})
    assert "method.template=2" in command
    assert not any(part.startswith(("model", "num_per_label")) for part in command)


VALUES = ["a b", "it's", "名前.txt", "1e3", "007", "true", "null", "[x]", "a,b", "${x}", "x\\", "C:\\a\\'b", "~/x", ""]


@pytest.mark.parametrize("value", [*VALUES, [0.7, 1.0], {"a b": 0.5}, True, 0.7], ids=repr)
def test_values_are_read_back_as_they_were(composed: Compose, value: Any) -> None:
    command = command_of(composed, options={"prompt.personas": value})
    (written,) = [part for part in command if part.startswith("prompt.personas=")]
    assert OverridesParser.create().parse_override(written).value() == value


@pytest.mark.parametrize(
    "typed", [("run.py", "-m", "--config-dir", "my tasks"), ("run.py", "--config-dir=my tasks")], ids=["apart", "joined"]
)
def test_a_task_from_elsewhere_is_found_again(composed: Compose, typed: tuple[str, ...]) -> None:
    assert "my tasks" in " ".join(command_of(composed, typed=typed)[2:4])


def test_a_sweeps_command_can_be_typed_again() -> None:
    assert sweep_command(sweep_named(command=("run.py", "-m", "a=[1, 2]"))) == "python run.py -m 'a=[1, 2]'"
    assert sweep_command(sweep_named(command=("/usr/bin/japagen", "x"))) == "/usr/bin/japagen x"


def test_facts_leave_out_what_says_nothing(composed: Compose, tmp_path: Path) -> None:
    config = composed("task=jnli")
    facts = dict(facts_of(result_for(config, 0.5, random.Random(0))))
    assert facts["commit"] == "8a2fd1b0"
    assert facts["seconds"].startswith("generation ")
    assert "gold rows seen" not in facts
    assert "options" not in facts
