"""Whether a data set's rows have the labels that others find in them: a student that learned from gold rows (ZeroGen's correctness,
Ye et al. 2022), and an encoder that compares texts with the labels' descriptions, which needs no gold row."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from japagen.evaluation.metrics import decide, score
from japagen.experiments.result import Result, read_result
from japagen.quality.samples import SEED, draw
from japagen.store.stages import STAGES
from japagen.store.store import Store
from japagen.tasks import Example, Task

MOST_ROWS = 2000
"""Rows that the student predicts, a seeded draw: minutes for a large encoder on a CPU."""


def find_gold_student(store: Store, task: Task, source: str) -> Result | None:
    """The result of the student with these labels that learned from most gold rows of the task in `source`, of several the best by its
    own validation rows; None where the store holds the weights of none."""
    found = []
    for meta in (store.root / STAGES["result"].folder).glob("*/meta.json"):
        result = read_result(meta.parent)
        if result.method == "gold" and (result.task, result.data) == (task.name, source) and _fits(store, result.keys["model"], task):
            found.append(result)
    return max(found, key=lambda result: (result.num_train, result.training.get("best_score") or 0.0, result.keys["model"]), default=None)


def find_described(store: Store, dataset: str) -> Result | None:
    """The result with an agreement by descriptions whose student learned from this data set; of several that of no demo encoder, and of
    the first key. None where the store has none."""
    found = []
    for meta in (store.root / STAGES["result"].folder).glob("*/meta.json"):
        result = read_result(meta.parent)
        if result.keys.get("dataset") == dataset and result.agreement:
            found.append(result)
    return min(found, key=lambda result: (result.demo, result.keys["result"]), default=None)


def described_by(result: Result) -> dict[str, Any]:
    """Whose encoder compared the texts with the labels' descriptions, and by label how many texts agree."""
    return {"result": result.keys["result"], "encoder": result.model, "demo": result.demo, "by_label": result.agreement}


def _fits(store: Store, model: str, task: Task) -> bool:
    """Whether the weights are there and answer with the task's labels."""
    if store.find("model", model) is None:
        return False
    target, _, labels = store.meta("model", model)["identity"]["task"]
    return target == task.target and labels == [[label.name, label.score] for label in task.labels]


def agreement(task: Task, rows: Sequence[Example], student: Result, folder: Path, device: str) -> dict[str, Any]:
    """The task's metrics of the student's predictions against the rows' labels, and by label what it predicted.

    Raises TrainingError where the student in `folder` can't be loaded.
    """
    from japagen.training.prediction import predict

    sample = draw(rows, MOST_ROWS)
    outputs = predict(folder, [row.texts for row in sample], device)
    predictions = decide(task, outputs)
    by_label: dict[str, Any] = {}
    for name in task.label_names:
        own = [prediction for prediction, row in zip(predictions, sample, strict=True) if row.label == name]
        by_label[name] = {"n": len(own)} | (_values(own) if task.is_regression else _answers(name, own))
    return {
        "student": {
            "model": student.keys["model"],
            "encoder": student.model,
            "trained_on": student.train_source,
            "num_train": student.num_train,
            "score": student.primary,
            "metric": student.metric,
            "demo": student.demo,
        },
        "n": len(sample),
        "seed": SEED,
        "metrics": score(task, sample, predictions),
        "by_label": by_label,
    }


def _answers(name: str, predictions: Sequence[Any]) -> dict[str, Any]:
    counts = Counter(map(str, predictions))
    return {"agreement": counts[name] / len(predictions) if predictions else None, "predicted": dict(counts.most_common())}


def _values(predictions: Sequence[Any]) -> dict[str, Any]:
    return {"mean_prediction": float(np.mean(predictions)) if predictions else None}
