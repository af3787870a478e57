"""Prompts out, replies in: (task, label, exemplars) -> chat messages; reply -> text or Reject(reason).

Pure functions: the same arguments give the same messages, so a row of a stream can be asked for again at any time.
A pair is written in two turns: turn 0 asks for the first sentence, the same request for every label; its text goes back
as the assistant's turn, and turn 1 asks for the second sentence of one label. What prompts share stands first, so that
the server's prefix cache serves it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from japagen.tasks import Label, Task

Message = dict[str, str]
"""One chat turn: {"role": system | user | assistant, "content": text}."""


@dataclass(frozen=True)
class Prompting:
    """How messages are written: what the LLM's template can take, and the prompt variant."""

    system_role: bool = True
    """False: the template has no system role, so its text opens the first user turn."""


EXEMPLARS_HEADING = "例:"
PAIR_JOINER = " → "


def first_messages(task: Task, prompting: Prompting, first_sentences: Sequence[str] = ()) -> list[Message]:
    """Turn 0 of a pair: asks for a first sentence, showing exemplars pooled over all labels."""
    return _opening(task, prompting, _with_exemplars(task.first_instruction, first_sentences))


def messages(
    task: Task,
    prompting: Prompting,
    label: Label,
    exemplars: Sequence[tuple[str, ...]] = (),
    first: str | None = None,
    first_sentences: Sequence[str] = (),
) -> list[Message]:
    """The request for one text of `label`; for pairs turn 1, with turn 0 and its reply `first` before it.

    `exemplars`: texts of gold rows with this label, in the order in which they are shown.
    `first_sentences`: what turn 0 showed.
    """
    shown = [PAIR_JOINER.join(texts) for texts in exemplars]
    instruction = _with_exemplars(label.instruction, shown)
    if not task.is_pair:
        return _opening(task, prompting, instruction)
    if first is None:
        raise ValueError("a pair's second turn needs its first sentence")
    return [
        *first_messages(task, prompting, first_sentences),
        {"role": "assistant", "content": first},
        {"role": "user", "content": instruction},
    ]


def _opening(task: Task, prompting: Prompting, instruction: str) -> list[Message]:
    if prompting.system_role:
        return [{"role": "system", "content": task.system}, {"role": "user", "content": instruction}]
    return [{"role": "user", "content": f"{task.system}\n\n{instruction}"}]


def _with_exemplars(instruction: str, exemplars: Sequence[str]) -> str:
    if not exemplars:
        return instruction
    return "\n".join([instruction, EXEMPLARS_HEADING, *(f"- {text}" for text in exemplars)])
