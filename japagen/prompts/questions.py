"""Questions: (task, text) -> what an LLM is asked so that it labels the text, and its reply -> a label.

Pure functions, as `japagen.prompts.writing` are. A question describes the task and each label's meaning, shows exemplars as chat turns,
and asks for a label's word in the task's language (regression: a number). There are three templates of it, in
Japanese or English (`japagen.prompts.scaffold`); which one serves best is nobody's to choose, so results are given over all of them.

`label_question` scores each label's whole word as the reply. `channel_question` turns it round: each label's request of the
synthesis prompt with the text as its reply (Min et al. 2022, noisy channel). `written_question` has the LLM write its answer.
"""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from japagen.prompts import continuation
from japagen.prompts.readings import read_labels, read_number
from japagen.prompts.scaffold import scaffold_of
from japagen.prompts.writing import Message, Prompting, attributes_of, messages
from japagen.tasks import RECORDED, Attribute, Example, Label, Task, nearest_level

Chat = tuple[Message, ...]


@dataclass(frozen=True)
class Question:
    """What one text is asked with."""

    id: str
    chats: tuple[Chat, ...]
    """Scored: one a label, its answer as the last turn. Written: the one chat that is to be answered."""
    is_scored: bool = True
    shares_prompt: bool = True
    """Scored: whether the chats differ in their last turn only; else they differ before it."""
    structure: dict[str, Any] | None = None
    """Written: what the reply is forced to be, as vLLM's structured outputs have it; none: anything."""
    stop: tuple[str, ...] = ()
    """Written: strings that end the reply."""


VERSION = 1
"""Enters keys; raised when a template changes."""


def answer_word(task: Task, label: Label) -> str:
    """What the LLM answers for `label`: its word in the task's language; regression: the level as a number."""
    if task.is_regression:
        return f"{label.score:g}"
    return label.word or label.name


def label_question(
    task: Task, prompting: Prompting, texts: tuple[str, ...], template: int, exemplars: Sequence[Example] = (), id: str = ""
) -> Question:
    """Scores each label's word as the answer to the question."""
    asked = question_messages(task, prompting, texts, template, exemplars)
    replies = [_reply(task, prompting, _answer_headings(task), answer_word(task, label)) for label in task.labels]
    return Question(id, tuple((*asked, _turn(reply)) for reply in replies))


def channel_question(
    task: Task, prompting: Prompting, texts: tuple[str, ...], exemplars: Mapping[str, Sequence[Example]] | None = None, id: str = ""
) -> Question:
    """Scores the text (of pairs the second one) as the reply to each label's request, in the words that synthesis uses."""
    chats = [request_and_reply(task, prompting, label, texts, (exemplars or {}).get(label.name, ())) for label in task.labels]
    return Question(id, tuple(chats), shares_prompt=False)


def likelihood_question(task: Task, prompting: Prompting, example: Example) -> Question:
    """Scores a text as the reply to its own label's request; its id is the example's."""
    label = next(label for label in task.labels if label.name == example.label)
    return Question(example.id, (request_and_reply(task, prompting, label, example.texts, ()),), shares_prompt=False)


def written_question(
    task: Task, prompting: Prompting, texts: tuple[str, ...], template: int, exemplars: Sequence[Example] = (), forced: bool = False,
    id: str = "",
) -> Question:  # fmt: skip
    """Has the LLM write its answer; `forced`: one of the labels' words."""
    structure = {"choice": [answer_word(task, label) for label in task.labels]} if forced else None
    chat = tuple(question_messages(task, prompting, texts, template, exemplars))
    stop = (continuation.LINE_END,) if prompting.continues else ()
    return Question(id, (chat,), is_scored=False, structure=structure, stop=stop)


def question_messages(
    task: Task, prompting: Prompting, texts: tuple[str, ...], template: int, exemplars: Sequence[Example]
) -> list[Message]:
    """The chat up to the answer: the task, exemplars with their answers as turns, the text. Continued: all in one turn, whose entries are
    the same for every template."""
    chosen, kind = scaffold_of(task).templates[template], _kind(task)
    system = chosen.system.format(task=_about(task, prompting), labels=_label_list(task, prompting), kind=kind)
    if prompting.continues:
        entries = [(*shown.texts, _exemplar_answer(task, shown)) for shown in exemplars]
        return [{"role": "user", "content": continuation.continued(task, system, _answer_headings(task), entries, texts)}]
    turns: list[Message] = []
    for shown in (*exemplars, None):
        asked = chosen.user.format(text=_shown_text(task, texts if shown is None else shown.texts), kind=kind)
        turns.append({"role": "user", "content": asked})
        if shown is not None:
            turns.append(_turn(_exemplar_answer(task, shown)))
    if prompting.system_role:
        return [{"role": "system", "content": system}, *turns]
    return [{"role": "user", "content": f"{system}\n\n{turns[0]['content']}"}, *turns[1:]]


def request_and_reply(task: Task, prompting: Prompting, label: Label, texts: tuple[str, ...], exemplars: Sequence[Example]) -> Chat:
    """The synthesis prompt's request for `label` with `texts` as what was written; no attribute is drawn."""
    shown = [example.texts for example in exemplars]
    reply = _turn(_reply(task, prompting, continuation.headings(task, task.num_turns), texts[-1]))
    return (*messages(task, prompting, label, shown, first=texts[0] if task.is_pair else None), reply)


def balanced_order(task: Task, exemplars: Mapping[str, Sequence[Example]], seed: int) -> list[Example]:
    """All exemplars in rounds: each round has one of every label, in an order drawn by `seed`, so that no label gathers at the end."""
    rng = random.Random(f"exemplars {seed}")
    drawn = {name: rng.sample(list(examples), len(examples)) for name, examples in exemplars.items()}
    ordered: list[Example] = []
    for round_ in range(max(map(len, drawn.values()), default=0)):
        names = [name for name in task.label_names if round_ < len(drawn.get(name, ()))]
        ordered += [drawn[name][round_] for name in rng.sample(names, len(names))]
    return ordered


def read_answer(task: Task, reply: str) -> str | float | None:
    """The label that a written reply names, or the number that it gives; None: neither, or more than one."""
    if task.is_regression:
        return read_number(reply, min(task.label_scores()), max(task.label_scores()), task.language)
    synonyms = {synonym: label.name for label in task.labels for synonym in label.synonyms}
    words = synonyms | {answer_word(task, label): label.name for label in task.labels}
    named = read_labels(reply, words, task.label_names, task.language)
    return next(iter(named)) if len(named) == 1 and named <= set(task.label_names) else None


def _attribute_schema(max_name: int, max_value: int) -> dict[str, Any]:
    return {
        "type": "array", "minItems": 1, "maxItems": 4,
        "items": {
            "type": "object", "required": ["name", "values"], "additionalProperties": False,
            "properties": {
                "name": {"type": "string", "maxLength": max_name},
                "values": {"type": "array", "minItems": 2, "maxItems": 10, "items": {"type": "string", "maxLength": max_value}},
            },
        },
    }  # fmt: skip


def attribute_questions(task: Task, system_role: bool) -> list[Question]:
    """prompt=kadg_auto: asks the LLM to name what the task's texts may vary in."""
    about = _about(task, Prompting()) + "\n" + _label_list(task, Prompting())
    words = scaffold_of(task)
    structure = {"json": _attribute_schema(*words.attribute_chars)}
    found = []
    for number, request in enumerate(words.attribute_requests):
        asked = f"{request}{words.attribute_form}"
        turns = [{"role": "system", "content": about}, {"role": "user", "content": asked}]
        chat = turns if system_role else [{"role": "user", "content": f"{about}\n\n{asked}"}]
        found.append(Question(f"attributes/{number}", (tuple(chat),), is_scored=False, structure=structure))
    return found


def read_attributes(task: Task, reply: str) -> list[Attribute]:
    """The attributes that a reply names, without values that name a label or repeat; [] where it can't be used.

    Names that rows use for other things (a persona, a wording) are left out.
    """
    start, end = reply.find("["), reply.rfind("]")
    try:
        named = json.loads(reply[start : end + 1]) if start >= 0 else []
        json.dumps(named, ensure_ascii=False).encode()  # refuses half a character, which JSON can write and no prompt can hold
    except (ValueError, RecursionError):
        return []
    words = {word for label in task.labels for word in (label.word, label.name) if word}
    found = {}
    for entry in named if isinstance(named, list) else []:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not isinstance(entry.get("values"), list):
            return []
        values = [" ".join(value.split()) for value in entry["values"] if isinstance(value, str)]
        values = [value for value in dict.fromkeys(values) if value and value not in words and not set(value) & set("{}")]
        name = " ".join(entry["name"].split())
        if name and name not in RECORDED and not set(name) & set("{}") and len(values) >= 2:
            found[name] = Attribute(name, values, scaffold_of(task).attribute_phrase.format(name=name))
    return list(found.values())


def _kind(task: Task) -> str:
    """What an answer is called."""
    words = scaffold_of(task)
    return words.score_kind if task.is_regression else words.label_kind


def _answer_headings(task: Task) -> tuple[str, ...]:
    """Continued: the headings of an entry's texts and of its answer."""
    return (*continuation.headings(task, task.num_turns), continuation.heading(task, _kind(task)))


def _reply(task: Task, prompting: Prompting, names: Sequence[str], text: str) -> str:
    """A scored reply; continued: as it follows its heading."""
    return continuation.reply_of(task, names, text) if prompting.continues else text


def _turn(content: str) -> Message:
    return {"role": "assistant", "content": content}


def _shown_text(task: Task, texts: tuple[str, ...]) -> str:
    words = scaffold_of(task)
    return (words.shown_pair if task.is_pair else words.shown_single).format(*texts)


def _exemplar_answer(task: Task, shown: Example) -> str:
    if task.is_regression and shown.score is not None:
        return answer_word(task, nearest_level(task, shown.score))
    return answer_word(task, next(label for label in task.labels if label.name == shown.label))


def _about(task: Task, prompting: Prompting) -> str:
    """The task explained; with knowledge also what its attributes say of the texts."""
    lines = [task.question or task.title or task.name]
    if prompting.knowledge:
        words = scaffold_of(task)
        named = {attribute.name: attribute for label in ("", *task.label_names) for attribute in attributes_of(task.attributes, label)}
        lines += [
            words.one_of + attribute.phrase.replace("{value}", words.value_joiner.join(attribute.values)) for attribute in named.values()
        ]
    return "\n".join(lines)


def _label_list(task: Task, prompting: Prompting) -> str:
    return "\n".join(f"- {answer_word(task, label)}{_meaning(task, label, prompting)}" for label in task.labels)


def _meaning(task: Task, label: Label, prompting: Prompting) -> str:
    if prompting.knowledge and label.meaning:
        return f": {label.meaning}"
    made_for = scaffold_of(task).made_for
    if prompting.knowledge and label.described:
        return made_for.format(instruction=label.described)
    return "" if task.question else made_for.format(instruction=label.instruction)
