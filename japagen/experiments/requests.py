"""An experiment's stream, with the LLM's other output for it: the texts selected of its rows, and the attributes that the LLM named."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from japagen.curation.dataset import selected_examples
from japagen.curation.select import Selector
from japagen.errors import GenerationError, MissingTextsError
from japagen.experiments.answers import read_answers
from japagen.experiments.experiment import Experiment
from japagen.prompts.questions import attribute_questions, read_attributes
from japagen.store.files import explain_os_errors
from japagen.store.rowsfile import StreamRows
from japagen.store.store import Store
from japagen.synthesis.stream import Stream
from japagen.tasks import STYLE, Attribute, Example


def stream_of(experiment: Experiment, store: Store) -> Stream:
    """The stream, with the attributes that the LLM named where it did; GenerationError where it named none that can be used."""
    if "attributes" not in experiment.keys:
        return experiment.stream
    return replace(experiment.stream, attributes=[*auto_attributes(experiment, store), *experiment.stream.attributes])


def auto_attributes(experiment: Experiment, store: Store) -> list[Attribute]:
    """prompt=kadg_auto: those of the first usable reply."""
    answers = read_answers(experiment, "attributes", store)
    ids = [question.id for question in attribute_questions(experiment.task, experiment.config.llm.system_role)]
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
    """Writes the attributes as a block of a task's YAML, to be read, and to be copied there for prompt=kadg."""
    lines = ["# Named by an LLM. Copied into a task's YAML, and mended there, they serve prompt=kadg.", "attributes:"]
    for attribute in attributes:
        name, values, phrase = (json.dumps(value, ensure_ascii=False) for value in (attribute.name, attribute.values, attribute.phrase))
        lines += [f"  - name: {name}", f"    values: {values}", f"    phrase: {phrase}"]
    with explain_os_errors(path):
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def make_selector(experiment: Experiment) -> Selector:
    """A fresh judge of the experiment's rows."""
    config = experiment.config
    shown = [example for examples in experiment.exemplars.values() for example in examples]
    shown += [Example((text,), "") for attribute in experiment.stream.attributes if attribute.name == STYLE for text in attribute.values]
    return Selector(config.task, config.curate, config.num_per_label, shown)


def select(experiment: Experiment, store: Store) -> tuple[Selector, StreamRows]:
    """The experiment's selection of the stored rows; MissingTextsError where they don't suffice."""
    rows = StreamRows(store.path("stream", experiment.keys["stream"]))
    selector = make_selector(experiment)
    selector.advance(rows)
    if not selector.is_complete:
        raise MissingTextsError(f"{experiment.task.name}: the texts that the student learns from are not all written")
    return selector, rows


def selected(experiment: Experiment, store: Store) -> list[Example]:
    """The rows that became texts, as examples; raises as `select` does."""
    return selected_examples(experiment.task, select(experiment, store)[0])
