"""How many replies a task's labels ask for, and warnings where labels are left without validation rows or steps."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from japagen.curation.dataset import is_valid
from japagen.experiments.budget import CHANCE_OF_VALID, budget_line, budget_warnings
from japagen.experiments.planning import plan_experiment
from tests.conftest import Compose
from tests.stubs.row_files import write_json_lines

Warn = Callable[..., list[str]]
SERVED = ["llm=qwen3-4b", "llm.base_url=http://127.0.0.1:9/v1"]


@pytest.fixture
def warn(composed: Compose) -> Warn:
    """The warnings about one experiment; its LLM is behind an address, so no file of the LLM is read."""

    def of(*overrides: str) -> list[str]:
        return budget_warnings([plan_experiment(composed(*SERVED, *overrides))])

    return of


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["task=banking77", "num_per_label=50"], "banking77: 77 labels x 50 texts; replies: 4,312 at least, 19,250 at most: 250 a label"),
        (["task=banking77", "num_per_label=8"], "banking77: 77 labels x 8 texts; replies: 616 at least, 15,400 at most: 200 a label"),
        (["task=jnli", "num_per_label=100"], "jnli: 3 labels x 100 texts and 100 first sentences; replies: 404 at least, 2,000 at most"),
    ],
)
def test_the_budget_counts_whole_requests_of_all_labels(composed: Compose, overrides: list[str], line: str) -> None:
    assert budget_line(composed("llm=qwen3-4b", *overrides)).startswith(line)


def test_the_chance_of_a_validation_row_is_that_of_the_split() -> None:
    share = sum(is_valid(f"text {number}") for number in range(20_000)) / 20_000
    assert share == pytest.approx(CHANCE_OF_VALID, abs=0.008)


def test_few_texts_leave_labels_without_validation_rows(warn: Warn) -> None:
    (valid,) = (line for line in warn("task=banking77", "num_per_label=20") if "validation row" in line)
    assert valid.startswith("banking77: warning: num_per_label=20 leaves about 9 of 77 labels without a validation row")
    enough = re.search(r"num_per_label=(\d+) or more", valid)
    assert enough is not None
    assert warn("task=banking77", f"num_per_label={enough[1]}") == []
    assert warn("task=banking77", f"num_per_label={int(enough[1]) - 1}") != []
    assert warn("task=jcm", "num_per_label=16") == []
    assert warn("task=jsts", "num_per_label=2") == [], "a regression has levels, not classes"


def test_fewer_steps_than_labels_are_said(warn: Warn) -> None:
    assert warn("task=banking77", "num_per_label=60", "train.epochs=2") == [], "model.min_steps are more than there are labels"
    written = warn("task=banking77", "num_per_label=10", "train.epochs=2", "train.min_steps=0")
    assert any("train.epochs=2 gives about 44 optimiser steps on 692 rows, fewer than the 77 labels" in line for line in written)
    gold = ["task=banking77", "method=gold", "gold_per_label=3"]
    assert "shows the student 160 of 231 rows; 8 steps show each once" in warn(*gold, "train.steps=5")[0]
    assert "train.steps=20 gives about 20 optimiser steps on 231 rows" in warn(*gold, "train.steps=20")[0]
    assert warn(*gold) == []


def test_held_out_gold_rows_without_a_label_are_named(warn: Warn, composed: Compose, tmp_path: Path) -> None:
    rows = [{"sent": f"行い{number}", "label": 0} for number in range(30)] + [{"sent": "悪い行い", "label": 1}]
    train = write_json_lines(tmp_path / "train.jsonl", rows)
    (line,) = warn("task=jcm", "method=gold", "data=files", f"data.train_file={train}")
    assert "1 of 2 labels have no row among the gold rows held out for selection: wrong" in line


def test_each_warning_stands_once(composed: Compose) -> None:
    config = composed(*SERVED, "task=banking77", "num_per_label=5")
    experiments = [plan_experiment(replace(config, seed=seed)) for seed in range(3)]
    assert len(budget_warnings(experiments)) == 1
