"""What an LLM is asked of texts for an experiment, and what its stored answers say."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from japagen.config.schema import WRITTEN_ANSWERS
from japagen.errors import GenerationError, MissingTextsError
from japagen.experiments.experiment import Experiment
from japagen.prompts.questions import (
    CONTENT_FREE,
    Question,
    attribute_questions,
    balanced_order,
    channel_question,
    label_question,
    likelihood_question,
    read_answer,
    read_attributes,
    written_question,
)
from japagen.selection import selected
from japagen.store.files import explain_os_errors
from japagen.store.rowsfile import StreamRows
from japagen.store.store import Store
from japagen.synthesis.answers import Answer
from japagen.synthesis.stream import Stream
from japagen.tasks import Attribute, Example, Task

CALIBRATION = "content-free"
"""Ids of questions without content begin so."""


def asked_ids(experiment: Experiment, stage: str, store: Store) -> list[str]:
    """The ids of `questions`; raises as they do."""
    if stage == "attributes":
        return [question.id for question in questions(experiment, stage, store)]
    if stage != "answers":
        return [example.id for example in selected(experiment, store)]
    calibration = range(len(CONTENT_FREE)) if experiment.is_calibrated else ()
    return [*map(str, range(len(experiment.asked_texts))), *(f"{CALIBRATION}/{place}" for place in calibration)]


def questions(experiment: Experiment, stage: str, store: Store) -> list[Question]:
    """What `attributes`, `judgements`, `likelihoods` and `answers` ask.

    Judgements and likelihoods are about the stream's accepted rows; MissingTextsError where those are not all there.
    """
    config, task = experiment.config, experiment.task
    if stage == "attributes":
        return attribute_questions(task, config.llm.system_role)
    prompting = replace(experiment.prompting, system_role=experiment.llm_of(stage).system_role)
    if stage == "likelihoods":
        return [likelihood_question(task, prompting, example) for example in selected(experiment, store)]
    if stage == "judgements":
        how, wording, examples = config.curate.judge_answer, 0, selected(experiment, store)
        texts = [(example.id, example.texts) for example in examples]
        shown: dict[str, tuple[Example, ...]] = experiment.exemplars
    else:
        how, wording = config.method.answer, experiment.wording
        texts = [(str(place), one) for place, one in enumerate(experiment.asked_texts)]
        shown = experiment.exemplars
    if how == "channel":
        return [channel_question(task, prompting, one, shown, id_) for id_, one in texts]
    ordered = balanced_order(task, shown, config.seed)
    if how in WRITTEN_ANSWERS:
        return [written_question(task, prompting, one, wording, ordered, how == "choice", id_) for id_, one in texts]
    found = [label_question(task, prompting, one, wording, ordered, id_) for id_, one in texts]
    if stage == "answers" and experiment.is_calibrated:
        empty = [(text,) * task.num_turns for text in CONTENT_FREE]
        found += [label_question(task, prompting, one, wording, ordered, f"{CALIBRATION}/{place}") for place, one in enumerate(empty)]
    return found


def stream_of(experiment: Experiment, store: Store) -> Stream:
    """The stream, with the attributes that the LLM named where it did; GenerationError where it named none that can be used."""
    if "attributes" not in experiment.keys:
        return experiment.stream
    return replace(experiment.stream, attributes=[*auto_attributes(experiment, store), *experiment.stream.attributes])


def auto_attributes(experiment: Experiment, store: Store) -> list[Attribute]:
    """prompt=kadg_auto: those of the first usable reply."""
    answers = read_answers(experiment, "attributes", store)
    ids = asked_ids(experiment, "attributes", store)
    where = f"task {experiment.task.name!r}, prompt=kadg_auto"
    if any(id_ not in answers for id_ in ids):
        raise GenerationError(f"{where}: the LLM's attributes are not there yet")
    replies = [answers[id_].text for id_ in ids]
    for reply in replies:
        if found := read_attributes(experiment.task, reply):
            return found
    raise GenerationError(
        f"{where}: {experiment.config.llm.name} named no attributes that can be used in {len(replies)} replies (the first begins"
        f" {replies[0][:60]!r}); take another LLM, or write the task's attributes yourself and set prompt=kadg"
    )


def write_attributes(attributes: Sequence[Attribute], path: Path) -> None:
    """As a block of a task's YAML, to be looked at, and to be copied there for prompt=kadg."""
    lines = ["# Named by an LLM. Copied into a task's YAML, and mended there, they serve prompt=kadg.", "attributes:"]
    for one in attributes:
        name, values, phrase = (json.dumps(value, ensure_ascii=False) for value in (one.name, one.values, one.phrase))
        lines += [f"  - name: {name}", f"    values: {values}", f"    phrase: {phrase}"]
    with explain_os_errors(path):
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_answers(experiment: Experiment, stage: str, store: Store) -> dict[str, Answer]:
    """Question id -> its answer, of those that stand in the store."""
    folder = store.path(stage, experiment.keys[stage])
    rows: Iterable[Any] = StreamRows(folder, Answer)
    return {answer.id: answer for answer in rows}


@dataclass(frozen=True)
class Answered:
    """What the LLM said of the texts it was asked about, in their order."""

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
    ids = [str(place) for place in range(len(experiment.asked_texts))]
    if any(id_ not in answers for id_ in ids):
        raise MissingTextsError(f"{task.name}: the LLM's answers are not all there")
    if config.method.answer in WRITTEN_ANSWERS:
        read = [None if answers[id_].finish_reason == "error" else read_answer(task, answers[id_].text) for id_ in ids]
        return Answered([_one_hot(task, one) for one in read], read, [None] * len(read))
    baseline = _baseline(answers)
    probs = [answers[id_].probabilities(baseline) for id_ in ids]
    if task.is_regression:
        levels = task.label_scores()
        values = [None if one is None else math.fsum(p * level for p, level in zip(one, levels, strict=True)) for one in probs]
        return Answered([[] if value is None else [value] for value in values], list(values), probs)
    names = [None if one is None else task.label_names[one.index(max(one))] for one in probs]
    return Answered([list(one or ()) for one in probs], list(names), probs)


def _baseline(answers: Mapping[str, Answer]) -> list[float]:
    """log of the labels' mean probabilities for texts without content; [] where nothing of the kind was asked."""
    empty = [probs for id_, answer in answers.items() if id_.startswith(CALIBRATION) and (probs := answer.probabilities()) is not None]
    return [math.log(max(1e-12, math.fsum(column) / len(empty))) for column in zip(*empty, strict=True)]


def _one_hot(task: Task, read: str | float | None) -> list[float]:
    if read is None:
        return []
    return [float(read)] if task.is_regression else [float(name == read) for name in task.label_names]
