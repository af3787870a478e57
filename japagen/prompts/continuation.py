"""Prompts for base models (llm.chat_template=plain): one text that breaks off where the reply is due.

A base model follows no request, it goes on with what it reads. So the instruction opens the text, exemplars follow in lines that all begin
with the same heading, and that heading, with nothing after it, is the end: the likeliest continuation is one more line of the kind. A space
after the last heading would split the next word's token, so there is none. Stop strings end the reply at the end of its line, or,
where a text may have several lines, at the next heading. Pure functions of strings; `japagen.prompts.writing` and `questions` call them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from japagen.prompts.scaffold import JAPANESE, scaffold_of
from japagen.tasks import Task

VERSION = 1
"""Enters the keys of what is made with llm.chat_template=plain; raised when this form or the template changes."""
LINE_END = "\n"


@dataclass(frozen=True)
class Words:
    """What headings are called in one language."""

    text: str
    pair: tuple[str, str]
    colon: str
    gap: str
    """Between a heading and its text."""


_JAPANESE = Words("文章", ("文1", "文2"), "：", "")
_ENGLISH = Words("Text", ("Text 1", "Text 2"), ":", " ")


def headings(task: Task, num_texts: int) -> tuple[str, ...]:
    """The headings of an entry with one text, or of a pair's two."""
    words = _words(task)
    return tuple(heading(task, name) for name in (words.pair if num_texts == 2 else (words.text,)))


def heading(task: Task, name: str) -> str:
    """`name` as what opens a line."""
    return f"{name[:1].upper()}{name[1:]}{_words(task).colon}"


def continued(task: Task, opening: str, names: Sequence[str], entries: Sequence[Sequence[str]], begun: Sequence[str] = ()) -> str:
    """The opening, the whole entries, and one that breaks off after the heading of its last text.

    `names`: the headings of an entry's texts. `begun`: the texts of the last entry that are there already, all but one.
    """
    lines = [_line(task, names, name, text) for entry in (*entries, begun) for name, text in zip(names, entry, strict=False)]
    return LINE_END.join([opening.strip(), "", *lines, names[-1]])


def reply_of(task: Task, names: Sequence[str], text: str) -> str:
    """The text as a reply, which follows the last heading as an exemplar's text does."""
    return f"{_words(task).gap}{_shown(task, names, text)}"


def stops(task: Task, names: Sequence[str]) -> tuple[str, ...]:
    """Strings that end the reply: the line's end, or for texts of several lines the heading that opens the next entry."""
    return (f"{LINE_END}{names[0]}",) if task.several_lines else (LINE_END,)


def _words(task: Task) -> Words:
    return _JAPANESE if scaffold_of(task) is JAPANESE else _ENGLISH


def _line(task: Task, names: Sequence[str], name: str, text: str) -> str:
    return f"{name}{reply_of(task, names, text)}"


def _shown(task: Task, names: Sequence[str], text: str) -> str:
    """The text in one line; in its own lines where it may have several, and none of those looks like a heading."""
    if not task.several_lines:
        return " ".join(text.split())
    first, *others = [line.rstrip() for line in text.strip().splitlines()] or [""]
    return LINE_END.join([first, *(f" {line}" if line.startswith(tuple(names)) else line for line in others)])
