"""A result as W&B's tables: scores, scores of each label, confusions, predictions by id, the training curve. No texts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from japagen.evaluation.confusions import MANY_LABELS, most_confused
from japagen.experiments.result import Result
from japagen.tasks import Task

NO_ANSWER = "(no answer)"
"""The class of gold rows to which an LLM gave no usable answer."""


@dataclass(frozen=True)
class Rows:
    """A table."""

    columns: list[Any]
    rows: list[list[Any]]


@dataclass(frozen=True)
class Predicted:
    """The predictions of one gold split, in its rows' order."""

    split: str
    ids: list[str]
    gold: list[Any]
    predictions: list[Any]
    outputs: list[list[float]]


def read_predictions(result: Result, folder: Path) -> list[Predicted]:
    """The predictions of all scored splits; none for a task without gold data. `folder`: the result's."""
    import pyarrow.parquet as pq

    found = []
    for scores in result.splits:
        if (path := folder / scores.predictions_file).is_file():
            table = pq.read_table(path).to_pydict()
            found.append(Predicted(scores.name, table["id"], table["gold"], table["prediction"], table["outputs"]))
    return found


def score_table(result: Result) -> Rows:
    """Every metric of the student (or LLM) and of the baselines, with its interval, on every split."""
    rows = []
    for split in result.splits:
        for whose, scores in ({"result": split.metrics} | split.baselines).items():
            for metric, score in scores.items():
                if score is not None:
                    rows.append([split.name, whose, metric, score["value"], score["low"], score["high"]])
    return Rows(["split", "of", "metric", "value", "low", "high"], rows)


def label_table(task: Task, predicted: Sequence[Predicted]) -> Rows:
    """Precision, recall and F1 of each label on each split; None where nothing was predicted, or nothing is there to be found."""
    rows = []
    for scored in predicted:
        num_gold, num_predicted = Counter(scored.gold), Counter(scored.predictions)
        hits = Counter(right for right, prediction in zip(scored.gold, scored.predictions, strict=True) if right == prediction)
        for label in task.label_names:
            precision = hits[label] / num_predicted[label] if num_predicted[label] else None
            recall = hits[label] / num_gold[label] if num_gold[label] else None
            f1 = 2 * hits[label] / (num_gold[label] + num_predicted[label]) if num_gold[label] + num_predicted[label] else None
            rows.append([scored.split, label, num_gold[label], num_predicted[label], precision, recall, f1])
    return Rows(["split", "label", "gold", "predicted", "precision", "recall", "f1"], rows)


def prediction_table(task: Task, predicted: Sequence[Predicted]) -> Rows:
    """One row a gold row: its id, the gold label, the prediction, and the outputs (probabilities; regression: the number).

    Of more than MANY_LABELS labels the probabilities of the predicted and of the gold label only.
    """
    is_short = len(task.labels) > MANY_LABELS and not task.is_regression
    names = ["output"] if task.is_regression else [f"output/{label}" for label in task.label_names]
    num, place = len(names), {label: index for index, label in enumerate(task.label_names)}
    rows = []
    for scored in predicted:
        for id_, gold, prediction, outputs in zip(scored.ids, scored.gold, scored.predictions, scored.outputs, strict=True):
            shown: list[float | None] = [*outputs] if len(outputs) == num else [None] * num
            if is_short:
                shown = [shown[place[label]] if label in place else None for label in (prediction, gold)]
            rows.append([scored.split, id_, gold, prediction, *shown])
    return Rows(["split", "id", "gold", "prediction", *(["output/prediction", "output/gold"] if is_short else names)], rows)


def curve_table(result: Result) -> Rows:
    """The training's validations, also those before an interruption."""
    history = result.training.get("history", [])
    columns: list[Any] = list(dict.fromkeys(name for entry in history for name in entry))
    return Rows(columns, [[entry.get(name) for name in columns] for entry in history])


def confusion(task: Task, predicted: Predicted) -> dict[str, Any]:
    """Arguments of `wandb.plot.confusion_matrix`: gold and predicted labels as numbers, and the labels' names."""
    names = [*task.label_names, *([NO_ANSWER] if "" in predicted.predictions else [])]
    number = {name: index for index, name in enumerate(names)} | {"": len(names) - 1}
    return {
        "y_true": [number[label] for label in predicted.gold],
        "preds": [number[label] for label in predicted.predictions],
        "class_names": names,
        "title": f"{task.name}, {predicted.split}",
    }


def confused_table(predicted: Sequence[Predicted]) -> Rows:
    """The most frequent confusions of each split, in place of a matrix of more than MANY_LABELS labels."""
    rows = []
    for scored in predicted:
        answers = [prediction or NO_ANSWER for prediction in scored.predictions]
        rows += [[scored.split, pair.gold, pair.predicted, pair.num, pair.share] for pair in most_confused(scored.gold, answers)]
    return Rows(["split", "gold", "predicted", "rows", "share of gold"], rows)
