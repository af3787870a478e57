"""Results as tables: values checked by hand, no texts, splits of their own, what has no value."""

from dataclasses import replace
from pathlib import Path

import pytest

from japagen.tasks import Task
from japagen.tracking.tables import (
    NO_ANSWER,
    Predicted,
    confused_table,
    confusion,
    curve_table,
    label_table,
    prediction_table,
    read_predictions,
    score_table,
)
from tests.conftest import load_task
from tests.stubs.results import RESULT

YES, NO = "acceptable", "unacceptable"
PREDICTED = Predicted("valid", ["a", "b", "c"], [YES, NO, NO], [YES, YES, ""], [[0.9, 0.1], [0.6, 0.4], []])


@pytest.fixture(scope="module")
def task() -> Task:
    return load_task("jcola")


def test_scores_name_split_and_whose_they_are() -> None:
    scored = {"metrics": {"mcc": {"value": 0.1, "low": 0.0, "high": 0.2}}, "baselines": {}}
    table = score_table(replace(RESULT, also_scored={"ood": scored}))
    assert table.rows == [
        ["valid", "result", "accuracy", 0.5, 0.4, 0.6],
        ["valid", "majority", "accuracy", 0.33, 0.3, 0.36],
        ["ood", "result", "mcc", 0.1, 0.0, 0.2],
    ]


def test_labels_have_precision_recall_and_f1(task: Task) -> None:
    table = label_table(task, [PREDICTED])
    assert table.rows == [["valid", YES, 1, 2, 0.5, 1.0, 2 / 3], ["valid", NO, 2, 0, None, 0.0, 0.0]]


def test_a_label_that_is_nowhere_has_no_values(task: Task) -> None:
    table = label_table(task, [replace(PREDICTED, gold=[YES] * 3, predictions=[YES] * 3)])
    assert table.rows[1] == ["valid", NO, 0, 0, None, None, None]


def test_a_missing_answer_is_a_class_of_its_own(task: Task) -> None:
    assert confusion(task, PREDICTED) == {
        "y_true": [0, 1, 1], "preds": [0, 0, 2], "class_names": [YES, NO, NO_ANSWER], "title": "jcola, valid"
    }  # fmt: skip
    assert confusion(task, replace(PREDICTED, predictions=[YES, NO, NO]))["class_names"] == [YES, NO]


def test_predictions_stand_by_id_with_their_outputs(task: Task) -> None:
    table = prediction_table(task, [PREDICTED])
    assert table.columns == ["split", "id", "gold", "prediction", f"output/{YES}", f"output/{NO}"]
    assert table.rows[0] == ["valid", "a", YES, YES, 0.9, 0.1]
    assert table.rows[2] == ["valid", "c", NO, "", None, None]


def test_regression_has_one_output() -> None:
    table = prediction_table(load_task("jsts"), [Predicted("valid", ["a"], [2.0], [2.5], [[2.5]])])
    assert (table.columns[-1], table.rows) == ("output", [["valid", "a", 2.0, 2.5, 2.5]])


def test_a_task_without_gold_has_empty_tables(task: Task, tmp_path: Path) -> None:
    result = replace(RESULT, split=None, metrics={}, baselines={})
    assert read_predictions(result, tmp_path) == []
    assert [rows.rows for rows in (score_table(result), label_table(task, []), curve_table(result))] == [[], [], []]


def test_the_curve_has_gaps_where_a_validation_lacks_a_value() -> None:
    history = [{"step": 1, "train/loss": 0.5}, {"step": 2, "train/loss": 0.4, "train/kept": 0.9}]
    table = curve_table(replace(RESULT, training={"history": history}))
    assert table.columns == ["step", "train/loss", "train/kept"]
    assert table.rows == [[1, 0.5, None], [2, 0.4, 0.9]]


def test_many_labels_have_pairs_and_two_probabilities() -> None:
    task = load_task("banking77")
    first, second, third = task.label_names[:3]
    outputs = [[0.5, 0.3, 0.2] + [0.0] * 74, [0.1, 0.8, 0.1] + [0.0] * 74, []]
    predicted = Predicted("test", ["1", "2", "3"], [first, first, third], [first, second, ""], outputs)
    table = prediction_table(task, [predicted])
    assert table.columns[-2:] == ["output/prediction", "output/gold"]
    assert [row[-2:] for row in table.rows] == [[0.5, 0.5], [0.8, 0.1], [None, None]]
    assert confused_table([predicted]).rows == [["test", first, second, 1, 0.5], ["test", third, NO_ANSWER, 1, 1.0]]
    assert len(label_table(task, [predicted]).rows) == 77
