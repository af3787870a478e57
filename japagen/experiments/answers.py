"""The predictions in an LLM's stored answers about texts."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from japagen.config.schema import WRITTEN_ANSWERS
from japagen.errors import MissingTextsError
from japagen.experiments.experiment import Experiment
from japagen.prompts.questions import read_answer
from japagen.store.rowsfile import StreamRows
from japagen.store.store import Store
from japagen.synthesis.answers import Answer
from japagen.tasks import Task

CALIBRATION = "content-free"
"""Ids of questions without content begin so."""


def read_answers(experiment: Experiment, stage: str, store: Store) -> dict[str, Answer]:
    """Question id -> its answer, for the questions whose answers are stored."""
    folder = store.path(stage, experiment.keys[stage])
    rows: Iterable[Any] = StreamRows(folder, Answer)
    return {answer.id: answer for answer in rows}


@dataclass(frozen=True)
class Answered:
    """The LLM's answers about the texts it was asked about, in their order."""

    outputs: list[list[float]]
    """Probabilities of the labels in their order (one-hot where it wrote its answer); regression: one number. Empty: no usable answer."""
    predictions: list[str | float | None]
    """A label's name, or a number; None: no usable answer."""
    probs: list[tuple[float, ...] | None]
    """The labels' probabilities where they were scored."""

    @property
    def num_failed(self) -> int:
        return sum(prediction is None for prediction in self.predictions)


def answered(experiment: Experiment, store: Store) -> Answered:
    """The stored answers of prompting or annotation, read; MissingTextsError where one is missing."""
    config, task = experiment.config, experiment.task
    answers = read_answers(experiment, "answers", store)
    ids = [str(index) for index in range(len(experiment.asked_texts))]
    if any(id_ not in answers for id_ in ids):
        raise MissingTextsError(f"{task.name}: the LLM's answers are not all there")
    if config.method.answer in WRITTEN_ANSWERS:
        read = [None if answers[id_].finish_reason == "error" else read_answer(task, answers[id_].text) for id_ in ids]
        return Answered([_one_hot(task, value) for value in read], read, [None] * len(read))
    baseline = _baseline(answers)
    probs = [answers[id_].probabilities(baseline) for id_ in ids]
    if task.is_regression:
        levels = task.label_scores()
        values = [None if row is None else math.fsum(p * level for p, level in zip(row, levels, strict=True)) for row in probs]
        return Answered([[] if value is None else [value] for value in values], list(values), probs)
    names = [None if row is None else task.label_names[row.index(max(row))] for row in probs]
    return Answered([list(row or ()) for row in probs], list(names), probs)


def _baseline(answers: Mapping[str, Answer]) -> list[float]:
    """log of the labels' mean probabilities for texts without content; [] where nothing of the kind was asked."""
    empty = [probs for id_, answer in answers.items() if id_.startswith(CALIBRATION) and (probs := answer.probabilities()) is not None]
    return [math.log(max(1e-12, math.fsum(column) / len(empty))) for column in zip(*empty, strict=True)]


def _one_hot(task: Task, read: str | float | None) -> list[float]:
    if read is None:
        return []
    return [float(read)] if task.is_regression else [float(name == read) for name in task.label_names]
