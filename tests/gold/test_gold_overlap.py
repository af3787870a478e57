"""Rows that are in the train split and scored too: left out and counted, or refused; never learned from or shown in silence."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from japagen.config.schema import Data
from japagen.errors import DataError
from japagen.experiments.experiment import Experiment
from japagen.experiments.planning import Planner, gold_rows, plan_experiment
from japagen.experiments.scoring import _num_contaminated
from japagen.gold import Split, part_from_scored
from japagen.tasks import Example
from launch.execute import _gold_lines
from tests.conftest import Compose, load_task

SCORED = [(f"{number}番目の花が庭に咲いた。", number % 2) for number in range(8)]
OTHERS = [(f"{number}匹の犬が外で鳴いた。", number % 2) for number in range(20)]


def write(path: Path, rows: Sequence[tuple[str, int]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("sentence", "label"), *rows])
    return path


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, ...]:
    """Four of the 24 train rows are scored rows, one of them in other widths and with other spaces."""
    train = [*OTHERS, *SCORED[:3], ("３番目の花が庭に咲いた。 ", 1)]
    paths = write(tmp_path / "scored.csv", SCORED), write(tmp_path / "train.csv", train)
    return "task=jcola", "data=files", f"data.eval_file={paths[0]}", f"data.train_file={paths[1]}"


def texts_of(rows: Sequence[Example]) -> set[str]:
    return {row.texts[0] for row in rows}


def check_none_is_scored(rows: Sequence[Example]) -> None:
    assert rows
    assert texts_of(rows) <= {text for text, _ in OTHERS}


@pytest.mark.parametrize("overrides", [["method=gold"], ["method=gold", "gold_per_label=5"], ["method=mixed"]])
def test_gold_rows_are_drawn_from_what_is_not_scored(composed: Compose, files: tuple[str, ...], overrides: list[str]) -> None:
    experiment = plan_experiment(composed(*files, *overrides))
    assert experiment.train_gold is not None
    train, valid = gold_rows(experiment.config, experiment.train_gold)
    check_none_is_scored([*train, *valid])
    note = "4 of 24 train rows (files: train.csv) are also scored rows (files: scored.csv); they are left out of training and prompts"
    assert f"jcola: {note}" in _gold_lines(experiment)


@pytest.mark.parametrize("method", ["japagen", "prompting", "annotate", "annotate_japagen", "mixed"])
def test_exemplars_are_drawn_from_what_is_not_scored(composed: Compose, files: tuple[str, ...], method: str) -> None:
    experiment = plan_experiment(composed(*files, f"method={method}", "shots=10"))
    check_none_is_scored([row for rows in experiment.exemplars.values() for row in rows])


def test_the_keys_are_those_of_the_rows_that_are_left(composed: Compose, files: tuple[str, ...], tmp_path: Path) -> None:
    alone = write(tmp_path / "alone.csv", OTHERS)
    config = composed(*files, "method=gold")
    assert plan_experiment(config).keys == plan_experiment(replace(config, data=replace(config.data, train_file=str(alone)))).keys
    kept = plan_experiment(replace(config, curate=replace(config.curate, contamination="off")))
    assert kept.keys != plan_experiment(config).keys


def test_a_sweep_over_contamination_plans_each_by_itself(composed: Compose, files: tuple[str, ...]) -> None:
    planner = Planner()
    on, off = (planner.plan(composed(*files, "method=gold", f"curate.contamination={how}")) for how in ("exact", "off"))
    assert (num_train(on), num_train(off)) == (20, 24)
    warning = (
        "jcola: warning: 4 of 24 train rows (files: train.csv) are also scored rows (files: scored.csv); curate.contamination=off keeps"
    )
    assert any(line.startswith(warning) for line in _gold_lines(off))


def num_train(experiment: Experiment) -> int:
    assert experiment.train_gold is not None
    return len(experiment.train_gold.examples)


@pytest.mark.parametrize("same_file", [True, False])
@pytest.mark.parametrize("overrides", [["method=gold"], ["method=gold", "curate.contamination=off"], ["shots=2"], ["method=mixed"]])
def test_a_train_file_that_is_mostly_scored_is_refused(
    composed: Compose, files: tuple[str, ...], tmp_path: Path, same_file: bool, overrides: list[str]
) -> None:
    scored = tmp_path / "scored.csv"
    train = scored if same_file else write(tmp_path / "most.csv", [*SCORED, *OTHERS[:7]])
    told = rf"8 of {8 if same_file else 15} train rows .* also scored rows .*split the file in two.*{train} .*data\.eval_file={scored}"
    with pytest.raises(DataError, match=told):
        plan_experiment(composed(*files[:3], f"data.train_file={train}", *overrides))


@pytest.mark.parametrize(
    ("train", "overrides", "told"),
    [
        ([*OTHERS[::2], *SCORED[1::2]], ["method=gold"], "label 'acceptable' has no other train row"),
        ([*OTHERS, SCORED[1]], ["method=gold", "gold_per_label=11"], "gold_per_label=11 is too many: label 'acceptable' has 10 rows"),
        ([*OTHERS, SCORED[1], SCORED[0]], ["shots=11"], "shots=11 is too many: label 'acceptable' has 10 different rows"),
    ],
)
def test_too_few_rows_that_are_not_scored_are_refused(
    composed: Compose, tmp_path: Path, train: list[tuple[str, int]], overrides: list[str], told: str
) -> None:
    paths = write(tmp_path / "scored.csv", SCORED), write(tmp_path / "train.csv", train)
    given = ("task=jcola", "data=files", f"data.eval_file={paths[0]}", f"data.train_file={paths[1]}")
    with pytest.raises(DataError) as caught:
        plan_experiment(composed(*given, *overrides))
    assert told in str(caught.value)
    assert "scored.csv" in str(caught.value)
    assert "set data.train_file to a file with other rows" in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "num"),
    [
        (["method=gold"], 4),
        (["method=prompting", "shots=1"], 4),
        (["method=prompting"], None),
        (["method=gold", "curate.contamination=off"], None),
        (["method=gold", "data.eval_file=null"], None),
        (["method=mixed"], 4 + 2),
        (["method=japagen", "shots=1"], 4 + 2),
        (["method=japagen"], 2),
        (["method=annotate", "shots=1"], 2),
    ],
)
def test_what_the_column_counts(composed: Compose, files: tuple[str, ...], overrides: list[str], num: int | None) -> None:
    """Two rows of the data set match scored texts; method=annotate takes the train split itself as its texts, so nothing counts twice."""
    experiment = plan_experiment(composed(*files, *overrides))
    assert (
        _num_contaminated(experiment, {"acceptable": {"contamination": 2, "too short": 1}} if "dataset" in experiment.keys else {}) == num
    )


def test_no_shared_row_is_a_count_too(composed: Compose) -> None:
    assert _num_contaminated(plan_experiment(composed("task=jcola", "method=gold")), {}) == 0


def split_of(pairs: list[tuple[str, str]], source: str = "files: my.csv") -> Split:
    return Split("train", tuple(Example(pair, "5", 5.0) for pair in pairs), "", source, "the user's own")


def test_pairs_are_the_same_in_either_order_and_only_whole() -> None:
    pairs = [
        ("犬が走る。", "猫が寝る。"),
        ("猫が寝る。", "犬が走る。"),
        ("犬が走る。", "鳥が飛ぶ。"),
        ("魚が泳ぐ。", "猫が寝る。"),
        ("馬", "牛"),
    ]
    train, scored = split_of(pairs), [split_of([("豚", "羊")], "one"), split_of(pairs[:1], "another")]
    left = part_from_scored(load_task("jsts"), Data(), train, scored, keep=False)
    assert [row.texts for row in left.examples] == pairs[2:]
    assert (left.num_left_out, left.checksum != train.checksum) == (2, True)
    assert left.notes == ("2 of 5 train rows (files: my.csv) are also scored rows (another); they are left out of training and prompts",)
    assert part_from_scored(load_task("jsts"), Data(), train, scored[:1], keep=False) is train


def test_texts_that_are_all_scored_are_not_annotated(composed: Compose, files: tuple[str, ...], tmp_path: Path) -> None:
    given = (*files[:3], "method=annotate", f"data.unlabelled_file={tmp_path / 'scored.csv'}")
    with pytest.raises(DataError, match=r"all 8 unlabelled texts .*scored\.csv.* set data\.unlabelled_file"):
        plan_experiment(composed(*given))
    assert len(plan_experiment(composed(*given, "curate.contamination=off")).unlabelled) == 8
    assert len(plan_experiment(composed(*files, "method=annotate")).unlabelled) == 24
