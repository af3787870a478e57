"""Rows that are in the train split and scored too: left out and counted, or refused; never learned from or shown in silence."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from japagen.config.schema import Data
from japagen.curation.contamination import EvaluationTexts
from japagen.errors import DataError
from japagen.experiments.experiment import Experiment
from japagen.experiments.planning import Planner, gold_rows, plan_experiment
from japagen.experiments.scoring import _contamination
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
    note = "4 of 24 train rows (files: train.csv) match scored rows (files: scored.csv); they are left out of training and prompts"
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
    hows = ("drop", "off", "report")
    on, off, reported = (planner.plan(composed(*files, "method=gold", f"curate.contamination={how}")) for how in hows)
    assert (num_train(on), num_train(off), num_train(reported)) == (20, 24, 24)
    assert (
        _contamination(reported, {})
        == _contamination(on, {})
        == {"num_contaminated": 4, "contaminated": {"unacceptable": 2, "acceptable": 2}}
    )
    assert any("4 of 24 train rows" in line and "curate.contamination=report keeps them" in line for line in _gold_lines(reported))
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
    assert _contamination(experiment, {"acceptable": 2} if "dataset" in experiment.keys else {})["num_contaminated"] == num


def test_no_shared_row_is_a_count_too(composed: Compose) -> None:
    assert _contamination(plan_experiment(composed("task=jcola", "method=gold")), {})["num_contaminated"] == 0


def split_of(pairs: list[tuple[str, str]], source: str = "files: my.csv") -> Split:
    return Split("train", tuple(Example(pair, "5", 5.0) for pair in pairs), "", source, "the user's own")


@pytest.mark.parametrize("turned", [False, True])
def test_a_pair_file_that_is_mostly_the_scored_one_is_refused_in_either_order(turned: bool) -> None:
    pairs = [(f"{animal}が走る。", f"{animal}が寝る。") for animal in ("犬", "猫", "鳥", "馬", "牛")]
    train, scored = split_of(pairs), split_of([pair[::-1] if turned else pair for pair in pairs[:3]], "scored")
    for how in ("drop", "report", "off"):
        with pytest.raises(DataError, match="3 of 5 train rows"):
            part_from_scored(load_task("jsts"), Data(), train, [scored], known([scored]).matches, how)


def test_a_pair_matches_where_one_of_its_texts_does() -> None:
    pairs = [("犬が走る。", "猫が寝る。"), ("猫が寝る。", "魚が泳ぐ。"), ("豚が鳴く。", "羊が鳴く。"), ("馬", "牛"), ("蛙", "蛇")]
    train, scored = split_of(pairs), [split_of([("虎", "熊")], "one"), split_of(pairs[:1], "another")]
    left = part_from_scored(load_task("jsts"), Data(), train, scored, known(scored).matches, "drop")
    assert [row.texts for row in left.examples] == pairs[2:]
    assert (left.num_left_out, left.matched, left.checksum != train.checksum) == (2, {"5": 2}, True)
    assert left.notes == ("2 of 5 train rows (files: my.csv) match scored rows (one, another); they are left out of training and prompts",)
    assert part_from_scored(load_task("jsts"), Data(), train, scored[:1], known(scored[:1]).matches, "drop") is train


def known(splits: Sequence[Split]) -> EvaluationTexts:
    return EvaluationTexts(text for split in splits for row in split.examples for text in row.texts)


def test_texts_that_are_all_scored_are_not_annotated(composed: Compose, files: tuple[str, ...], tmp_path: Path) -> None:
    given = (*files[:3], "method=annotate", f"data.unlabelled_file={tmp_path / 'scored.csv'}")
    with pytest.raises(DataError, match=r"all 8 unlabelled texts .*scored\.csv.* set data\.unlabelled_file"):
        plan_experiment(composed(*given))
    assert len(plan_experiment(composed(*given, "curate.contamination=off")).unlabelled) == 8
    assert len(plan_experiment(composed(*files, "method=annotate")).unlabelled) == 24
