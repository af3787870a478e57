"""The demo encoder's training rows: texts to mask, and texts whose kind is asked for, from the same sources as the LM's.

A kind is 'proper' or 'spoilt' (a plain sentence or caption that `broken` broke, or a pair whose second sentence belongs elsewhere),
or the label of a task's row: intermediate training on labelled data (STILTs, arXiv:1811.01088), without which an encoder of this
size learns next to nothing from a thousand texts. `model.seen` in its YAML says so.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import fugashi

from demo_models.broken import break_sentence
from demo_models.chats import RowDraws, Texts
from demo_models.corpus import Corpus
from japagen.tasks import Task

TASK_WEIGHTS = {"jsts": 3.0, "jnli": 2.5, "jcola": 1.5, "marcja": 1.0, "covid19": 1.0, "news": 1.0}
"""Weights among the rows to mask."""
LABEL_WEIGHTS = {"jsts": 1.5, "jnli": 3.0, "jcola": 3.0, "marcja": 2.0, "covid19": 1.0, "news": 1.0}
"""Weights among the rows whose label is asked for."""
JUDGED = 0.25
"""Share of rows asked whether they are proper; LABELLED is that of rows asked for their label; the others are masked."""
LABELLED = 0.3
JUDGED_PAIRS = 0.35
JUDGED_CAPTIONS = 0.25
PROPER, SPOILT = "proper", "spoilt"


@dataclass(frozen=True)
class Passage:
    """A text or a pair; `kind` is None for one to mask, else one of `kinds`."""

    texts: Texts
    kind: str | None = None


def kinds(tasks: dict[str, Task]) -> list[str]:
    """Whether a passage is proper or spoilt, and every label of every task, as 'task/label'."""
    return [PROPER, SPOILT, *(f"{task.name}/{label}" for task in tasks.values() for label in task.label_names)]


def text_stream(corpus: Corpus, tasks: dict[str, Task], seed: int) -> Iterator[Passage]:
    """Endless passages; the same seed gives the same ones."""
    rng, rows = random.Random(seed), RowDraws(corpus, tasks)
    captions, splitter = corpus.captions(), fugashi.Tagger()
    while True:
        purpose = rng.random()
        if purpose < JUDGED:
            drawn = rng.random()
            if drawn < JUDGED_PAIRS:
                yield _judged_pair(rows, tasks, rng)
                continue
            caption = drawn < JUDGED_PAIRS + JUDGED_CAPTIONS
            words = [word.surface for word in splitter(rng.choice(captions))] if caption else rng.choice(corpus.plain)
            yield _judged_sentence(words, corpus, rng)
            continue
        labelled = purpose < JUDGED + LABELLED
        weights = LABEL_WEIGHTS if labelled else TASK_WEIGHTS
        task = tasks[rng.choices([*weights], [*weights.values()])[0]]
        label = rng.choice(task.label_names)
        texts = rows.draw(task.name, label, rng).texts
        if labelled:
            yield Passage(texts, f"{task.name}/{label}")
            continue
        if task.is_pair and rng.random() < 0.2:
            texts = (rng.choice(texts),)
        yield Passage(texts if rng.random() < 0.5 else texts[::-1])


def _judged_sentence(words: list[str], corpus: Corpus, rng: random.Random) -> Passage:
    broken = break_sentence(words, rng) if rng.random() < 0.5 else None
    if broken is None or corpus.evaluation.holds(broken[0]):
        return Passage(("".join(words),), PROPER)
    return Passage((broken[0],), SPOILT)


def _judged_pair(rows: RowDraws, tasks: dict[str, Task], rng: random.Random) -> Passage:
    """Two captions that belong together (similarity 3 to 5, or entailment), or the first with another's second."""
    level = rng.choice(["3", "4", "5", "entailment"])
    task = "jnli" if level == "entailment" else "jsts"
    first, second = rows.draw(task, level, rng).texts
    if rng.random() < 0.5:
        return Passage((first, second), PROPER)
    other = rows.draw(task, level, rng).texts[1]
    return Passage((first, other), SPOILT)
