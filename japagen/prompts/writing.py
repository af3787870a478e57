"""Prompts: (task, label, exemplars, what was drawn) -> chat messages.

Pure functions: the same arguments give the same messages, so a row of a stream can be asked for again at any time.
A pair is written in two turns: turn 0 asks for the first sentence, the same request for every label; its text goes back
as the assistant's turn, and turn 1 asks for the second sentence of one label. What prompts share stands first, so that
the server's prefix cache serves it. Exemplars are turns that went before: the same request, answered by a gold row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from japagen.prompts import continuation
from japagen.tasks import Attribute, Label, Task

Message = dict[str, str]
"""One chat turn: {"role": system | user | assistant, "content": text}."""


@dataclass(frozen=True)
class Prompting:
    """How messages are written: what the LLM's template can take, and the prompt variant."""

    system_role: bool = True
    """False: the template has no system role, so its text opens the first user turn."""
    knowledge: bool = False
    """prompt=kadg: labels as `described`."""
    continues: bool = False
    """llm.chat_template=plain: one turn, a text that breaks off where the reply is due (`japagen.prompts.continuation`)."""


def first_messages(task: Task, prompting: Prompting, first_sentences: Sequence[str] = (), phrases: Sequence[str] = ()) -> list[Message]:
    """Turn 0 of a pair: asks for a first sentence, showing exemplars pooled over all labels."""
    if prompting.continues:
        return _continued(task, "\n".join([task.first_instruction, *phrases]), [(sentence,) for sentence in first_sentences])
    shown = [turn for sentence in first_sentences for turn in _answered(task.first_instruction, sentence)]
    return _opening(task, prompting, [*shown, _user(task.first_instruction, phrases)])


def messages(
    task: Task,
    prompting: Prompting,
    label: Label,
    exemplars: Sequence[tuple[str, ...]] = (),
    first: str | None = None,
    phrases: Sequence[str] = (),
    wording: int = 0,
) -> list[Message]:
    """The request for one text of `label`; for pairs turn 1, after turn 0's request and its reply `first` (continued: `first` only).

    `exemplars`: texts of gold rows with this label, in the order in which they are shown; a pair's as both of its turns. `phrases`: what
    follows the instruction, for pairs that of turn 0. `wording`: which of the label's `wordings`.
    """
    if task.is_pair and first is None:
        raise ValueError("a pair's second turn needs its first sentence")
    asked = wordings(label, prompting)[wording]
    if prompting.continues:
        return _continued(task, "\n".join([asked, *phrases]), exemplars, () if first is None else (first,))
    requests = [asked] if first is None else [task.first_instruction, asked]
    shown = [turn for texts in exemplars for pair in zip(requests, texts, strict=True) for turn in _answered(*pair)]
    if first is None:
        return _opening(task, prompting, [*shown, _user(asked, phrases)])
    return _opening(task, prompting, [*shown, _user(task.first_instruction, phrases), _assistant(first), _user(asked)])


def stops(task: Task, prompting: Prompting, turn: int) -> tuple[str, ...]:
    """Strings that end a reply to `first_messages` (turn 0 of a pair) or `messages`; none where the LLM ends its replies itself."""
    return continuation.stops(task, continuation.headings(task, 1 + turn)) if prompting.continues else ()


def _continued(task: Task, instruction: str, exemplars: Sequence[tuple[str, ...]], begun: tuple[str, ...] = ()) -> list[Message]:
    names = continuation.headings(task, 1 + len(begun))
    return [{"role": "user", "content": continuation.continued(task, f"{task.system}\n{instruction}", names, exemplars, begun)}]


def _opening(task: Task, prompting: Prompting, turns: Sequence[Message]) -> list[Message]:
    """The turns behind the task's system message, which opens the first of them where the template has no system role."""
    if prompting.system_role:
        return [{"role": "system", "content": task.system}, *turns]
    return [_user(f"{task.system}\n\n{turns[0]['content']}"), *turns[1:]]


def _answered(request: str, text: str) -> tuple[Message, Message]:
    return _user(request), _assistant(text)


def _user(request: str, phrases: Sequence[str] = ()) -> Message:
    return {"role": "user", "content": "\n".join([request, *phrases])}


def _assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def wordings(label: Label, prompting: Prompting) -> list[str]:
    """What asks for a text of `label`: its instruction (with knowledge as `described`), then its variants."""
    return [label.described if prompting.knowledge and label.described else label.instruction, *label.variants]


def attributes_of(attributes: Sequence[Attribute], label: str) -> list[Attribute]:
    """The attributes that are drawn for a request of `label` ('' for turn 0 of a pair)."""
    return [attribute for attribute in attributes if not attribute.labels or label in attribute.labels]


def phrases_of(attributes: Sequence[Attribute], drawn: Mapping[str, str]) -> list[str]:
    """What a request says of the values (attribute name -> value) drawn for it."""
    return [attribute.phrase.replace("{value}", drawn[attribute.name]) for attribute in attributes if attribute.name in drawn]
