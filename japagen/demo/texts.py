"""The demo encoder's training rows: texts to mask, and texts to judge as proper or spoilt, from the same sources as the LM's.

Spoilt is a plain sentence or caption that `broken` broke, or a pair whose second sentence belongs elsewhere. No task's labels
are shown to the encoder.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import fugashi

from japagen.demo.broken import break_sentence
from japagen.demo.chats import Rows, Texts
from japagen.demo.corpus import Corpus
from japagen.tasks import Task

TASK_WEIGHTS = {"jsts": 3.0, "jnli": 2.5, "jcola": 1.5, "marcja": 1.0, "covid19": 1.0, "news": 1.0}
JUDGED = 0.5
"""Share of rows that are judged; the others are masked."""
JUDGED_PAIRS = 0.35
JUDGED_CAPTIONS = 0.25


@dataclass(frozen=True)
class Passage:
    """A text or a pair; `proper` is None for one to mask, else whether it is as it was written."""

    texts: Texts
    proper: bool | None = None


def text_stream(corpus: Corpus, tasks: dict[str, Task], seed: int) -> Iterator[Passage]:
    """Endless passages; the same seed gives the same ones."""
    rng, rows = random.Random(seed), Rows(corpus, tasks)
    captions, splitter = corpus.captions(), fugashi.Tagger()
    names, weights = zip(*TASK_WEIGHTS.items(), strict=True)
    while True:
        if rng.random() < JUDGED:
            drawn = rng.random()
            if drawn < JUDGED_PAIRS:
                yield _judged_pair(rows, tasks, rng)
                continue
            caption = drawn < JUDGED_PAIRS + JUDGED_CAPTIONS
            words = [word.surface for word in splitter(rng.choice(captions))] if caption else rng.choice(corpus.plain)
            yield _judged_sentence(words, corpus, rng)
            continue
        task = tasks[rng.choices(names, weights)[0]]
        texts = rows.draw(task.name, rng.choice(task.labels).name, rng).texts
        if task.is_pair and rng.random() < 0.2:
            texts = (rng.choice(texts),)
        yield Passage(texts if rng.random() < 0.5 else texts[::-1])


def _judged_sentence(words: list[str], corpus: Corpus, rng: random.Random) -> Passage:
    broken = break_sentence(words, rng) if rng.random() < 0.5 else None
    if broken is None or corpus.evaluation.holds(broken[0]):
        return Passage(("".join(words),), True)
    return Passage((broken[0],), False)


def _judged_pair(rows: Rows, tasks: dict[str, Task], rng: random.Random) -> Passage:
    """Two captions that belong together (similarity 3 to 5, or entailment), or the first with another's second."""
    level = rng.choice(["3", "4", "5", "entailment"])
    task = "jnli" if level == "entailment" else "jsts"
    first, second = rows.draw(task, level, rng).texts
    if rng.random() < 0.5:
        return Passage((first, second), True)
    other = rows.draw(task, level, rng).texts[1]
    return Passage((first, other), False)
