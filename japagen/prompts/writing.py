"""Prompts: (task, label, exemplars, what was drawn) -> chat messages.

Pure functions: the same arguments give the same messages, so a row of a stream can be asked for again at any time.
A pair is written in two turns: turn 0 asks for the first sentence, the same request for every label; its text goes back
as the assistant's turn, and turn 1 asks for the second sentence of one label. What prompts share stands first, so that
the server's prefix cache serves it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from japagen.prompts import continuation
from japagen.prompts.scaffold import scaffold_of
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


PAIR_JOINER = " → "


def first_messages(task: Task, prompting: Prompting, first_sentences: Sequence[str] = (), phrases: Sequence[str] = ()) -> list[Message]:
    """Turn 0 of a pair: asks for a first sentence, showing exemplars pooled over all labels."""
    instruction = "\n".join([task.first_instruction, *phrases])
    if prompting.continues:
        return _continued(task, instruction, [(sentence,) for sentence in first_sentences])
    return _opening(task, prompting, _with_exemplars(task, instruction, first_sentences))


def messages(
    task: Task,
    prompting: Prompting,
    label: Label,
    exemplars: Sequence[tuple[str, ...]] = (),
    first: str | None = None,
    first_sentences: Sequence[str] = (),
    phrases: Sequence[str] = (),
    wording: int = 0,
) -> list[Message]:
    """The request for one text of `label`; for pairs turn 1, with turn 0 and its reply `first` before it (continued: `first` only).

    `exemplars`: texts of gold rows with this label, in the order in which they are shown.
    `first_sentences`: what turn 0 showed. `phrases`: what follows the instruction, for pairs that of turn 0. `wording`: which of the
    label's `wordings`.
    """
    if task.is_pair and first is None:
        raise ValueError("a pair's second turn needs its first sentence")
    shown = [PAIR_JOINER.join(texts) for texts in exemplars]
    asked = wordings(label, prompting)[wording]
    if prompting.continues:
        return _continued(task, "\n".join([asked, *phrases]), exemplars, () if first is None else (first,))
    if first is None:
        return _opening(task, prompting, _with_exemplars(task, "\n".join([asked, *phrases]), shown))
    instruction = _with_exemplars(task, asked, shown)
    return [
        *first_messages(task, prompting, first_sentences, phrases),
        {"role": "assistant", "content": first},
        {"role": "user", "content": instruction},
    ]


def stops(task: Task, prompting: Prompting, turn: int) -> tuple[str, ...]:
    """Strings that end a reply to `first_messages` (turn 0 of a pair) or `messages`; none where the LLM ends its replies itself."""
    return continuation.stops(task, continuation.headings(task, 1 + turn)) if prompting.continues else ()


def _continued(task: Task, instruction: str, exemplars: Sequence[tuple[str, ...]], begun: tuple[str, ...] = ()) -> list[Message]:
    names = continuation.headings(task, 1 + len(begun))
    return [{"role": "user", "content": continuation.continued(task, f"{task.system}\n{instruction}", names, exemplars, begun)}]


def _opening(task: Task, prompting: Prompting, instruction: str) -> list[Message]:
    if prompting.system_role:
        return [{"role": "system", "content": task.system}, {"role": "user", "content": instruction}]
    return [{"role": "user", "content": f"{task.system}\n\n{instruction}"}]


def wordings(label: Label, prompting: Prompting) -> list[str]:
    """What asks for a text of `label`: its instruction (with knowledge as `described`), then its variants."""
    return [label.described if prompting.knowledge and label.described else label.instruction, *label.variants]


def attributes_of(attributes: Sequence[Attribute], label: str) -> list[Attribute]:
    """The attributes that are drawn for a request of `label` ('' for turn 0 of a pair)."""
    return [attribute for attribute in attributes if not attribute.labels or label in attribute.labels]


def phrases_of(attributes: Sequence[Attribute], drawn: Mapping[str, str]) -> list[str]:
    """What a request says of the values (attribute name -> value) drawn for it."""
    return [attribute.phrase.replace("{value}", drawn[attribute.name]) for attribute in attributes if attribute.name in drawn]


def _with_exemplars(task: Task, instruction: str, exemplars: Sequence[str]) -> str:
    if not exemplars:
        return instruction
    return "\n".join([instruction, scaffold_of(task).exemplars_heading, *(f"- {text}" for text in exemplars)])
