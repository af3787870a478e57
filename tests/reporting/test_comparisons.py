"""Settings against their task's reference: which is compared with which, under which names, and what the file and the table say."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from japagen.config.schema import Config
from japagen.evaluation.significance import compare, holm, read_run, resample
from japagen.experiments.result import Failure, Outcome, Result
from japagen.reporting.comparisons import Comparison, compare_settings, write_comparisons
from japagen.reporting.run_table import print_results
from japagen.store.store import Store
from japagen.tasks import Task
from tests.conftest import Compose
from tests.stubs.results import RESULT, console_text

NUM_ROWS = 300
GOLD: dict[str, Any] = {"method": "gold", "prompt": None, "llm": None, "num_per_label": None, "gold_per_label": "all"}
PROMPTING: dict[str, Any] = {"method": "prompting", "model": None, "num_per_label": None, "num_train": 0}


class Sweep:
    """Results with predictions in a store, and their configurations."""

    def __init__(self, folder: Path, composed: Compose) -> None:
        self.store, self.composed = Store(folder), composed
        self.outcomes: list[Outcome] = []
        self.configs: list[Config] = []

    def add(self, skill: float, *overrides: str, seeds: Sequence[int] = (0, 1, 2), gold_seed: int = 0, **fields: Any) -> None:
        """Three runs of one setting, which know the share `skill` of the rows."""
        for seed in seeds:
            config = replace(self.composed(*overrides), seed=seed)
            key = f"{len(self.outcomes):032}"
            changes = {"task": config.task.name, "metric": config.task.metric, "shots": config.shots, "num_per_label": config.num_per_label}
            changes |= {"settings": " ".join(overrides), "keys": {"result": key}, "num_eval": NUM_ROWS}
            changes |= {
                "seeds": {"seed": seed, "shots_seed": 0},
                "metrics": {config.task.metric: {"value": skill, "low": 0.0, "high": 1.0}},
            }
            result = replace(RESULT, **changes | fields)
            self.outcomes.append(result)
            self.configs.append(config)
            self.write(config.task, key, skill, gold_seed, [result.split, *result.also_scored])

    def write(self, task: Task, key: str, skill: float, gold_seed: int, splits: Sequence[str | None]) -> None:
        folder = self.store.path("result", key)
        folder.mkdir(parents=True)
        rng, gold_rng = np.random.default_rng(int(key)), np.random.default_rng(gold_seed)
        names = ["predictions.parquet", *(f"predictions-{split}.parquet" for split in splits[1:])] if splits[0] else []
        for name in names:
            if task.is_regression:
                gold = gold_rng.uniform(0, 5, size=NUM_ROWS)
                guesses = skill * gold + rng.normal(size=NUM_ROWS)
            else:
                gold = gold_rng.choice(task.label_names, size=NUM_ROWS)
                guesses = np.where(rng.random(NUM_ROWS) < skill, gold, rng.choice(task.label_names, size=NUM_ROWS))
            ids = [str(number) for number in range(NUM_ROWS)]
            pq.write_table(pa.table({"id": ids, "gold": gold.tolist(), "prediction": guesses.tolist()}), folder / name)

    def compared(self) -> list[Comparison]:
        return compare_settings(self.outcomes, self.configs, self.store)


@pytest.fixture
def sweep(tmp_path: Path, composed: Compose) -> Sweep:
    return Sweep(tmp_path / "store", composed)


def named(found: Sequence[Comparison]) -> list[tuple[str, str]]:
    return [(comparison.first, comparison.second) for comparison in found]


def test_settings_are_compared_with_the_plain_arm(sweep: Sweep) -> None:
    sweep.add(0.9, "task=jnli", "method=gold", **GOLD)
    sweep.add(0.5, "task=jnli", "shots=3")
    sweep.add(0.5, "task=jnli", "prompt=kadg", prompt="kadg")
    sweep.add(0.5, "task=jnli")
    sweep.add(0.2, "task=jsts", "method=gold", **GOLD)
    sweep.add(2.0, "task=jsts")
    found = sweep.compared()
    plain = "japagen, shots=0, prompt=base"
    assert named(found) == [
        ("gold", plain),
        ("japagen, shots=3, prompt=base", plain),
        ("japagen, shots=0, prompt=kadg", plain),
        ("gold", plain),
    ]
    assert [comparison.task for comparison in found] == ["jnli"] * 3 + ["jsts"]
    better, *rest, worse = found
    assert better.difference is not None
    assert worse.difference is not None
    assert (better.is_significant, worse.is_significant) == (True, True)
    assert better.difference.value > 0 > worse.difference.value
    assert not any(comparison.is_significant for comparison in rest)
    assert (better.num_rows, better.first_seeds, better.metric, worse.metric) == (NUM_ROWS, "seed 0, 1, 2", "accuracy", "spearman")


def test_the_numbers_are_those_of_the_runs_and_holm_counts_a_task(sweep: Sweep) -> None:
    for task in ("jnli", "jsts"):
        sweep.add(0.6, f"task={task}")
        sweep.add(0.5, f"task={task}", "shots=2")
        sweep.add(0.55, f"task={task}", "shots=4", seeds=(0, 1))
    found = sweep.compared()
    runs = [
        [read_run(sweep.store.path("result", f"{number:032}") / "predictions.parquet") for number in part]
        for part in ([0, 1, 2], [3, 4, 5])
    ]
    task = sweep.configs[0].task
    assert found[0].difference == compare(resample(task, runs[1]), resample(task, runs[0]))
    assert found[1].first_seeds == "seed 0, 1"
    p_values = [comparison.difference.p for comparison in found if comparison.difference and comparison.difference.p]
    assert [comparison.p_holm for comparison in found] == [*holm(p_values[:2]), *holm(p_values[2:])]
    assert len(found) == 4
    alone = compare_settings(sweep.outcomes[:8], sweep.configs[:8], sweep.store)
    assert alone == found[:2], "other tasks beside it change no p-value"


def test_a_side_with_one_draw_is_not_tested_and_says_so(sweep: Sweep, tmp_path: Path) -> None:
    sweep.add(0.5, "task=jnli")
    sweep.add(0.9, "task=jnli", "shots=2", draw={"synthesis.seed": 0})
    sweep.add(0.9, "task=jnli", "shots=4", seeds=(0,))
    sweep.add(0.9, "task=jnli", "shots=6")
    for outcome, seed in zip(sweep.outcomes[7:], (0, 1, 2), strict=True):
        sweep.outcomes[sweep.outcomes.index(outcome)] = replace(result_of(outcome), draw={"synthesis.seed": seed})
    shared, single, several = sweep.compared()
    assert shared.note == "no test: the setting has 3 runs on one draw of the data; two or more are needed on either side"
    assert single.note == "no test: the setting has one run; two or more are needed on either side"
    assert (shared.first_draws, single.first_draws, several.first_draws, several.second_draws) == (1, 1, 3, 3)
    assert [comparison.first_seeds for comparison in (shared, several)] == ["seed 0, 1, 2; 1 draw", "seed 0, 1, 2; 3 draws"]
    for comparison in (shared, single):
        assert comparison.difference is not None
        assert comparison.difference.value > 0.2
        assert (comparison.difference.low, comparison.difference.p, comparison.p_holm) == (None, None, None)
    assert several.difference is not None
    assert several.p_holm == several.difference.p, "what isn't tested counts for nothing"
    text = " ".join(console_text(lambda console: print_results(sweep.outcomes, console, [shared, several])).split())
    assert f"{shared.difference.value:+.3f} (no test: the setting has" in text if shared.difference else False
    rows = read_csv(write_comparisons([shared, several], tmp_path)[0])
    assert [rows[0][name] for name in ("low", "p", "p_holm", "significant_at_0.05")] == [""] * 4
    assert float(rows[0]["difference"]) > 0.2
    assert [(row["first_draws"], row["second_draws"]) for row in rows] == [("1", "3"), ("3", "3")]


def test_without_a_plain_arm_the_first_setting_is_the_reference(sweep: Sweep) -> None:
    sweep.add(0.5, "task=jnli", "method=gold", "gold_per_label=8", **GOLD | {"gold_per_label": "8"})
    sweep.add(0.5, "task=jnli", "method=gold", **GOLD)
    sweep.add(0.5, "task=jnli", "prompt=kadg", prompt="kadg")
    assert named(sweep.compared()) == [("gold, gold_per_label=all", "gold, gold_per_label=8"), ("japagen", "gold, gold_per_label=8")]


def test_one_setting_has_nothing_to_be_compared_with(sweep: Sweep, tmp_path: Path) -> None:
    sweep.add(0.5, "task=jnli")
    sweep.add(0.5, "task=jsts")
    sweep.add(0.5, "task=jcola", "shots=0", split=None, metrics={}, num_eval=0)
    sweep.add(0.5, "task=jcola", "shots=1", split=None, metrics={}, num_eval=0)
    sweep.outcomes.append(Failure("jnli-japagen", "jnli", "no memory"))
    sweep.configs.append(sweep.configs[0])
    assert sweep.compared() == []
    assert write_comparisons([], tmp_path / "none") == []
    assert "reference" not in console_text(lambda console: print_results(sweep.outcomes, console, []))


def test_names_say_what_differs_and_nothing_else(sweep: Sweep) -> None:
    sweep.add(0.5, "task=jnli")
    sweep.add(0.5, "task=jnli", "curate.judging=soften")
    sweep.add(0.5, "task=jnli", "curate.judging=drop", "curate.judge_threshold=0.75")
    sweep.add(0.5, "task=jnli", "curate.judging=drop", "curate.judge_threshold=0.25")
    sweep.add(0.5, "task=jnli", "synthesis.temperatures=[0.1,10]")
    found = sweep.compared()
    assert named(found) == [
        ("japagen, curate.judging=soften", "japagen"),
        ("japagen, curate.judging=drop, curate.judge_threshold=0.75", "japagen"),
        ("japagen, curate.judging=drop, curate.judge_threshold=0.25", "japagen"),
        ("japagen, synthesis.temperatures=[0.1, 10.0]", "japagen"),
    ]


def test_names_are_no_markup(sweep: Sweep) -> None:
    sweep.add(0.5, "task=jnli", seeds=(0,))
    sweep.add(0.5, "task=jnli", "llm.seen=[unknown]", seeds=(0,))
    (found,) = sweep.compared()
    shown = replace(found, first="[unknown]", second="[/b]")
    text = console_text(lambda console: print_results(sweep.outcomes, console, [shown]))
    assert "[unknown]" in text
    assert "[/b]" in text


def test_models_are_named_and_not_what_they_decide(sweep: Sweep) -> None:
    sweep.add(0.5, "task=jnli")
    sweep.add(0.5, "task=jnli", "llm=qwen3-swallow-8b", llm="qwen3-swallow-8b")
    sweep.add(0.5, "task=jnli", "model=bert-base-japanese-v3", model="bert-base-japanese-v3")
    assert named(sweep.compared()) == [
        ("japagen, llm=qwen3-swallow-8b, model=demo", "japagen, llm=demo, model=demo"),
        ("japagen, llm=demo, model=bert-base-japanese-v3", "japagen, llm=demo, model=demo"),
    ]


def test_what_cannot_be_told_apart_is_numbered(sweep: Sweep) -> None:
    sweep.add(0.5, "task=jnli", seeds=(0,))
    sweep.add(0.5, "task=jnli", seeds=(0,), settings="of another commit")
    assert named(sweep.compared()) == [("japagen (2)", "japagen (1)")]


def test_prompting_has_templates_and_no_student(sweep: Sweep, tmp_path: Path) -> None:
    sweep.add(0.5, "task=jnli")
    for seed in range(3):
        seeds = {"seed": seed, "shots_seed": 0, "template": seed}
        sweep.add(0.9, "task=jnli", "method=prompting", seeds=(seed,), **PROMPTING | {"settings": "prompting"})
        sweep.outcomes[-1] = replace(result_of(sweep.outcomes[-1]), seeds=seeds)
    (found,) = sweep.compared()
    assert (found.first, found.second) == ("prompting", "japagen")
    assert found.first_seeds == "seed 0, 1, 2; template 0, 1, 2"
    text = console_text(lambda console: print_results(sweep.outcomes, console, [found]))
    assert "template 0, 1, 2" in text
    assert "None" not in text


def result_of(outcome: Outcome) -> Result:
    assert isinstance(outcome, Result)
    return outcome


def test_further_splits_are_compared_too_and_other_gold_data_never(sweep: Sweep) -> None:
    further = {"out": {"metrics": {"mcc": None}, "num_eval": NUM_ROWS, "gold_source": "JCoLA out"}}
    sweep.add(0.9, "task=jcola", "shots=1", also_scored=further)
    sweep.add(0.5, "task=jcola", also_scored=further)
    sweep.add(0.5, "task=jcola", settings="smoke", data="sample", demo=True)
    sweep.add(0.5, "task=jcola", settings="of a file", gold_source="mine.csv")
    found = sweep.compared()
    assert [(comparison.split, comparison.is_significant, comparison.num_rows) for comparison in found] == [
        ("valid", True, NUM_ROWS),
        ("out", True, NUM_ROWS),
    ]
    assert found[0].difference != found[1].difference


def test_what_cannot_be_compared_says_why_and_stops_nothing(sweep: Sweep, tmp_path: Path) -> None:
    sweep.add(0.5, "task=jnli")
    sweep.add(0.5, "task=jnli", "shots=1", gold_seed=5)
    sweep.add(0.5, "task=jnli", "shots=2")
    sweep.add(0.9, "task=jnli", "shots=3")
    (sweep.store.path("result", f"{6:032}") / "predictions.parquet").unlink()
    found = sweep.compared()
    assert [comparison.difference is None for comparison in found] == [True, True, False]
    assert "gold rows differ in their labels or scores" in found[0].note
    assert "predictions can't be read" in found[1].note
    assert [comparison.p_holm is None for comparison in found] == [True, True, False]
    assert found[2].difference is not None
    assert found[2].p_holm == found[2].difference.p, "the only one that was tested"
    text = console_text(lambda console: print_results(sweep.outcomes, console, found))
    assert "gold rows differ" in " ".join(text.split())
    (path,) = write_comparisons(found, tmp_path)
    rows = read_csv(path)
    assert (rows[0]["difference"], rows[0]["p_holm"], rows[0]["significant_at_0.05"]) == ("", "", "")
    assert "gold rows differ" in rows[0]["note"]
    assert rows[2]["significant_at_0.05"] == "True"


def test_rows_without_a_value_have_no_difference(sweep: Sweep) -> None:
    sweep.add(0.5, "task=jsts", seeds=(0,))
    sweep.add(0.5, "task=jsts", "shots=1", seeds=(0,))
    for result in sweep.outcomes:
        path = sweep.store.path("result", result_of(result).keys["result"]) / "predictions.parquet"
        pq.write_table(pa.table({"id": ["a", "b"], "gold": [2.0, 2.0], "prediction": [1.0, 2.0]}), path)
    (found,) = sweep.compared()
    assert (found.difference, found.note) == (None, "the gold rows allow no comparison")


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_file_has_the_numbers_and_the_table_the_verdict(sweep: Sweep, tmp_path: Path) -> None:
    sweep.add(0.5, "task=jnli", demo=True)
    sweep.add(0.9, "task=jnli", "shots=3")
    sweep.add(0.9, "task=jnli", settings="smoke", data="sample", demo=True)
    sweep.add(0.5, "task=jnli", "shots=4", settings="more smoke", data="sample", demo=True)
    found = sweep.compared()
    (path,) = write_comparisons(found, tmp_path / "made")
    assert [comparison.name for comparison in path.parent.iterdir()] == ["significance.csv"]
    row, smoke = read_csv(path)
    assert list(row) == [
        "task", "split", "metric", "first", "second", "first_seeds", "second_seeds", "first_draws", "second_draws", "n", "clusters",
        "difference", "low", "high", "p", "error_rows", "error_draws", "p_holm", "significant_at_0.05", "note",
    ]  # fmt: skip
    difference = found[0].difference
    assert difference is not None
    assert [float(row[name]) for name in ("difference", "low", "high", "p")] == [
        difference.value,
        difference.low,
        difference.high,
        difference.p,
    ]
    assert (row["task"], row["n"], row["significant_at_0.05"], row["first"]) == ("jnli", "300", "True", "japagen, shots=3")
    assert smoke["first"] == "japagen, shots=4"
    text = console_text(lambda console: print_results(sweep.outcomes, console, found))
    published = text.index("Published gold data: differences from each task's reference")
    assert text.index("Published gold data: mean") < published < text.index("Smoke data (mean nothing): differences")
    line = next(line for line in text[published:].splitlines() if "jnli*" in line)
    assert [cell.strip() for cell in line.strip("│").split("│")] == [
        "jnli*", "valid", "japagen, shots=3", "japagen, shots=0", "3, 3", "accuracy",
        f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]", "< 0.001", "< 0.001", "yes",
    ]  # fmt: skip
    assert "(Holm within a task)" in text


def test_text_in_the_file_cannot_become_a_formula(sweep: Sweep, tmp_path: Path) -> None:
    sweep.add(0.5, "task=jnli", seeds=(0,), task="=1+1")
    sweep.add(0.5, "task=jnli", "shots=3", seeds=(0,), task="=1+1")
    (path,) = write_comparisons(sweep.compared(), tmp_path / "made")
    assert read_csv(path)[0]["task"] == "'=1+1"
