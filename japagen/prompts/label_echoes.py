"""What a reply says that its prompt said: a label's word, or a sentence of the prompt again."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from japagen.tasks import ANYWHERE, Task

_SENTENCE_ENDS = re.compile(r"[。！？\n]|[.!?](?=\s|$)")
_LEAST_CHARS = {True: (8, 14), False: (25, 25)}
"""is Japanese -> characters of a text that the prompt holds, and of a sentence of the prompt that a text holds; what is shorter may be so
by chance."""


@dataclass(frozen=True)
class Echoes:
    """A task's words and sentences, ready to be looked for."""

    label: re.Pattern[str]
    sentences: tuple[str, ...]
    """Of the prompts, in the form in which they are compared."""
    least_chars: tuple[int, int]

    def names_label(self, text: str) -> bool:
        """Whether the text gives a label away."""
        return self.label.search(text) is not None

    def repeats_prompt(self, text: str) -> bool:
        """Whether a sentence of the prompt holds the text, or the text one of them."""
        folded, (of_text, of_sentence) = _folded(text), self.least_chars
        return any(
            (len(folded) >= of_text and folded in sentence) or (len(sentence) >= of_sentence and sentence in folded)
            for sentence in self.sentences
        )


def echoes_of(task: Task, label_line: str) -> Echoes:
    """What is looked for in the task's replies; made once. `label_line`: `reply_rules.Rules.label_line`."""
    names = tuple(name for label in task.labels for name in (label.word, label.name, *label.synonyms) if len(name) > 1)
    anywhere = tuple(name for label in task.labels for name in (label.word, label.name) if len(name) > 1)
    prompts = tuple(text for label in task.labels for text in (label.instruction, label.described, *label.variants))
    prompts = (*prompts, task.system, task.first_instruction)
    return _echoes(names, anywhere if task.label_words == ANYWHERE else (), label_line, prompts, task.language in ("ja", ""))


@lru_cache
def _echoes(names: tuple[str, ...], anywhere: tuple[str, ...], label_line: str, prompts: tuple[str, ...], is_japanese: bool) -> Echoes:
    patterns = [label_line.format(names=_any_of(names))] if names else []
    patterns += [_any_of(anywhere)] if anywhere else []
    sentences = tuple(dict.fromkeys(sentence for text in prompts for sentence in _sentences(text)))
    return Echoes(re.compile("|".join(patterns) or r"(?!)", re.I), sentences, _LEAST_CHARS[is_japanese])


def _any_of(names: tuple[str, ...]) -> str:
    """A pattern of the names, the longest first; Latin letters do not run on."""
    return "|".join(_bounded(name) for name in sorted(set(names), key=len, reverse=True))


def _bounded(name: str) -> str:
    before = r"(?<![A-Za-z0-9])" if name[0].isascii() and name[0].isalnum() else ""
    after = r"(?![A-Za-z0-9])" if name[-1].isascii() and name[-1].isalnum() else ""
    return f"{before}{re.escape(name)}{after}"


def _sentences(text: str) -> Iterator[str]:
    for sentence in _SENTENCE_ENDS.split(text):
        if len(folded := _folded(sentence)) > 1:
            yield folded


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).split()).strip(" 。、.,!?「」\"'").casefold()
