"""The demo LM's training chats: corpus and grammar -> an endless, seeded stream of chats in the tasks' own prompts.

A chat is built by `japagen.prompts`, so the model is trained on exactly the messages that the pipeline sends: zero-shot
mostly, sometimes with exemplars. Each row's source is drawn anew (real train rows, edited captions, our grammar), the
label first and uniformly, so that rare labels are seen as often as frequent ones.
"""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

from omegaconf import OmegaConf

from japagen.demo.broken import break_sentence
from japagen.demo.corpus import MAX_CHARS, Corpus, Pair
from japagen.demo.edits import nli_edit, similar_edit
from japagen.demo.grammar import nli_pair, similar_pair
from japagen.prompts import Message, Prompting, messages
from japagen.tasks import Label, Task, nearest_level

TASK_WEIGHTS = {"jsts": 0.45, "jnli": 0.35, "jcola": 0.2}
EXEMPLAR_CHATS = 0.12
"""Share of chats with exemplars; they are several times longer, so they cost more than the share says."""
ENOUGH = 1000
"""Real pairs of one label from which on they get their full weight."""
SHOTS = (1, 1, 1, 2, 2, 3, 3, 4, 5)

Texts = tuple[str, ...]
Source = Callable[[str, random.Random], Texts | None]
"""(label name, rng) -> one row's texts, or None where this source has none this time."""


def load_tasks(conf: Path) -> dict[str, Task]:
    """The tasks that the LM learns, from conf/task/*.yaml."""
    schema = OmegaConf.structured(Task)
    return {name: OmegaConf.to_object(OmegaConf.merge(schema, OmegaConf.load(conf / f"{name}.yaml"))) for name in TASK_WEIGHTS}  # type: ignore[misc]


class Rows:
    """Draws labelled rows: real ones, edits of real captions, and the grammar's."""

    def __init__(self, corpus: Corpus, tasks: dict[str, Task]) -> None:
        self._corpus = corpus
        self._captions = corpus.captions()
        self._by_level = _group(corpus.jsts, lambda pair: nearest_level(tasks["jsts"], float(pair.label)).name)
        self._by_relation = _group([pair for pair in corpus.jnli if not pair.first_negated], lambda pair: pair.label)
        self._judged = {good: [row.text for row in corpus.jcola if row.acceptable == good] for good in (True, False)}
        self._sources: dict[str, list[tuple[Source, float]]] = {
            "jsts": [(self._jsts_real, 0.5), (self._jsts_grammar, 0.35), (self._jsts_edited, 0.15)],
            "jnli": [(self._jnli_grammar, 0.45), (self._jnli_edited, 0.35), (self._jnli_real, 0.2)],
            "jcola": [(self._jcola_real, 0.35), (self._jcola_made, 0.65)],
        }

    def draw(self, task: str, label: str, rng: random.Random) -> Texts:
        """One row of the label: short enough, no two equal sentences, and none that an evaluation split holds."""
        sources, weights = zip(*self._sources[task], strict=True)
        while True:
            texts = rng.choices(sources, weights)[0](label, rng)
            if texts is not None and len({*texts}) == len(texts) and all(map(self._allowed, texts)):
                return texts

    def _allowed(self, text: str) -> bool:
        return 4 <= len(text) <= MAX_CHARS and not self._corpus.evaluation.holds(text)

    def _jsts_real(self, label: str, rng: random.Random) -> Texts | None:
        texts = _pick(self._by_level[label], rng)
        return texts if texts is None or rng.random() < 0.5 else texts[::-1]

    def _jsts_grammar(self, label: str, rng: random.Random) -> Texts:
        return similar_pair(int(label), rng)

    def _jsts_edited(self, label: str, rng: random.Random) -> Texts | None:
        caption, level = rng.choice(self._captions), int(label)
        second = similar_edit(caption, level, rng) if level >= 3 else rng.choice(self._captions) if level == 0 else None
        return None if second is None else (caption, second)

    def _jnli_real(self, label: str, rng: random.Random) -> Texts | None:
        return _pick(self._by_relation[label], rng)

    def _jnli_grammar(self, label: str, rng: random.Random) -> Texts:
        return nli_pair(label, rng)

    def _jnli_edited(self, label: str, rng: random.Random) -> Texts | None:
        caption = rng.choice(self._captions)
        second = nli_edit(caption, label, rng)
        return None if second is None else (caption, second)

    def _jcola_real(self, label: str, rng: random.Random) -> Texts:
        return (rng.choice(self._judged[label == "acceptable"]),)

    def _jcola_made(self, label: str, rng: random.Random) -> Texts | None:
        words = rng.choice(self._corpus.plain)
        text = "".join(words) if label == "acceptable" else break_sentence(words, rng)
        return None if text is None else (text,)


def chat_stream(corpus: Corpus, tasks: dict[str, Task], seed: int) -> Iterator[list[Message]]:
    """Endless chats, each ending with the assistant's last reply; the same seed gives the same chats."""
    rng, rows = random.Random(seed), Rows(corpus, tasks)
    names, weights = zip(*TASK_WEIGHTS.items(), strict=True)
    while True:
        task = tasks[rng.choices(names, weights)[0]]
        yield _chat(task, rng.choice(task.labels), rows, rng)


def text_stream(corpus: Corpus, tasks: dict[str, Task], seed: int) -> Iterator[Texts]:
    """Endless single sentences and pairs of the tasks' rows, for the encoder; the same seed gives the same texts."""
    rng, rows = random.Random(seed), Rows(corpus, tasks)
    while True:
        task = tasks[rng.choice(["jsts", "jsts", "jnli", "jcola"])]
        texts = rows.draw(task.name, rng.choice(task.labels).name, rng)
        if task.is_pair and rng.random() < 0.2:
            texts = (rng.choice(texts),)
        yield texts if rng.random() < 0.5 else texts[::-1]


def _chat(task: Task, label: Label, rows: Rows, rng: random.Random) -> list[Message]:
    """One row as the pipeline would have asked for it, with the replies filled in."""
    texts = rows.draw(task.name, label.name, rng)
    shots = rng.choice(SHOTS) if rng.random() < EXEMPLAR_CHATS else 0
    exemplars = [rows.draw(task.name, label.name, rng) for _ in range(shots)]
    prompting = Prompting()
    if not task.is_pair:
        return [*messages(task, prompting, label, exemplars), _reply(texts[0])]
    pooled = [rows.draw(task.name, other.name, rng)[0] for other in task.labels if other != label for _ in range(shots)]
    pooled += [first for first, _ in exemplars]
    rng.shuffle(pooled)
    request = messages(task, prompting, label, exemplars, first=texts[0], first_sentences=pooled)
    return [*request, _reply(texts[1])]


def _reply(text: str) -> Message:
    return {"role": "assistant", "content": text}


def _pick(pairs: list[Pair], rng: random.Random) -> Texts | None:
    """A pair's texts; None the more often the fewer pairs there are, so that they aren't learned by heart."""
    if rng.random() > len(pairs) / ENOUGH:
        return None
    pair = rng.choice(pairs)
    return pair.first, pair.second


def _group(pairs: list[Pair], label_of: Callable[[Pair], str]) -> dict[str, list[Pair]]:
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(label_of(pair), []).append(pair)
    return groups
