"""One raw reply of an LLM -> a clean text, or the reason why it is none, and the rules that changed it.

Only what a reply says by itself is judged here; what depends on other rows (duplicates, copied exemplars, contamination) is
`japagen.curation`'s. Pure: the same reply is always judged the same, and a clean text stays as it is. The rules are tables
(`reply_rules`, `reply_rules_ja`, `reply_rules_en`); this module applies them in order.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from japagen.prompts import identification
from japagen.prompts.japanese import is_japanese
from japagen.prompts.label_echoes import echoes_of
from japagen.prompts.reply_rules import MARKER, MESSAGES, NUMBERED, ONE_LINE, SEVERAL_LINES, Refuse, Rules, Strip
from japagen.prompts.reply_rules_en import ENGLISH
from japagen.prompts.reply_rules_ja import JAPANESE
from japagen.prompts.thinking import strip_thinking
from japagen.tasks import Task


@dataclass(frozen=True)
class Reject:
    """Why a reply became no text; `reason` is one of REASONS."""

    reason: str
    rule: str = field(default="", compare=False)
    """The name of the rule in the table; '' for a reason that has no table."""


@dataclass(frozen=True)
class Reading:
    """A reply as it was read."""

    outcome: str | Reject
    """The text, or why there is none."""
    changes: tuple[str, ...] = ()
    """Names of the rules that changed the reply, in the order in which they did so first."""


REASONS = {
    "error": "the request failed for good",
    "truncated": "the reply reached max_tokens, or ended otherwise than normally",
    "all thinking": "the reply was thinking to its end: raise llm.sampling.max_tokens, or switch the LLM's thinking off",
    "filtered": "the provider's content filter withheld or cut it",
    "tool call": "the LLM called a tool instead of writing",
    "not listed": "the reply held no list, or a shorter one than was asked for (synthesis.verbalized)",
    "empty": "nothing, or nothing but punctuation",
    "refusal": "the LLM declines, asks back or speaks of itself",
    "preamble": "chat before or around the text",
    "several candidates": "more than one text",
    "names its label": "gives the label away",
    "repeats the prompt": "a sentence of the prompt again, such as its label's description",
    "about the task": "speaks of the task or of a text of it, and is none",
    "placeholder": "holds a blank to be filled in, such as [商品名]",
    "markup": "code, JSON or tags from which no single text can be taken",
    "loops": "the same words again and again, or characters that could not be decoded",
    "wrong language": "not the task's language",
    "too short": "under the task's min_chars",
    "too long": "over the task's max_chars",
    "first sentence": "the pair's first sentence was rejected",
    "repeats first sentence": "the second sentence is the first again",
    "first sentence repeated": "its first sentence was used often enough (curate.max_same_first)",
    "copies an exemplar": "a text of the prompt again, or nearly so",
    "duplicate": "accepted before for this label",
    "near duplicate": "nearly the same was accepted before for this label (curate.near_duplicates)",
    "judged otherwise": "the judge finds its label too improbable (curate.judging=drop)",
    "not judged": "the judge gave no usable answer",
    "less probable": "others of its label are more probable (curate.keep_likeliest)",
    "no answer": "annotation: the LLM's reply names no label",
    "contamination": "matches an evaluation text",
    "two labels": "the same text was accepted for another label too, so neither row says which is right",
}
"""Every reason for which a row is dropped, and what it means."""
QUOTES_GOLD = ("contamination", "copies an exemplar", "first sentence")
"""Reasons whose rejected text is, or may be, a gold text, and is therefore never shown."""

VERSION = 2
"""Enters the keys of data sets; raised when a rule of this module, or a Japanese one of `reply_rules`, changes."""

UNFINISHED = {
    "error": "error",
    "length": "truncated",
    "unlisted": "not listed",
    "thinking": "all thinking",
    "filtered": "filtered",
    "declined": "refusal",
    "tool call": "tool call",
}
"""finish_reason -> the reason that it gives; any other one than FINISHED is a reply that was cut."""
FINISHED = "stop"
"""finish_reason of a normal end."""
THINKING = "thinking"
"""The rule that takes thinking off."""
_ENDLESS = 100_000
"""Characters from which a reply is too long whatever it holds."""
_ROOM, _ROOM_FACTOR = 3_000, 10
"""A reply may be so many characters, or so many times the task's max_chars, and still have a text within it."""
_MOST_ROUNDS = 12
"""A reply within more wrappers than this holds no text."""


class _TooManyWrappers(Exception):
    pass


def normalise(text: str) -> str:
    """NFKC, spaces folded: the form in which texts are compared."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def clean_reply(task: Task, text: str, finish_reason: str) -> str | Reject:
    """The reply's text without wrappers, or the first reason against it."""
    return judge_reply(task, text, finish_reason).outcome


def judge_reply(task: Task, text: str, finish_reason: str) -> Reading:
    """The reply's text, or the first reason against it, and the rules that changed it."""
    if finish_reason != FINISHED:
        return Reading(Reject(UNFINISHED.get(finish_reason, "truncated")))
    if len(text.strip()) > _ENDLESS:
        return Reading(Reject("too long"))
    stripped, has_thought = strip_thinking(text)
    changes = [THINKING] if has_thought else []
    outcome = Reject("all thinking", THINKING) if has_thought and not stripped.strip() else _read(task, stripped.strip(), changes)
    return Reading(outcome, tuple(dict.fromkeys(changes)))


def _read(task: Task, text: str, changes: list[str]) -> str | Reject:
    """The text or the reason; names of rules are appended to `changes`."""
    if not _says_something(text):
        return Reject("empty")
    if len(text) > max(_ROOM, _ROOM_FACTOR * task.max_chars):
        return Reject("too long")
    rules, form = rules_of(task.language), _form(task)
    strips = (*rules.outer, *rules.inner)
    try:
        if SEVERAL_LINES in form:
            text = _stripped(text, rules.outer, form, changes)
            if candidates := _several_candidates(text, rules):
                return candidates
        text = _stripped(text, strips, form, changes)
        if refused := _refused(task, text, rules, form):
            return refused
        if ONE_LINE in form and len([line for line in text.splitlines() if _says_something(line)]) > 1:
            return Reject("several candidates", "another line")
        if (folded := " ".join(text.split())) != text:
            folded = _stripped(folded, strips, form, changes)
            if refused := _refused(task, folded, rules, form):
                return refused
    except _TooManyWrappers:
        return Reject("markup", "too many wrappers")
    return _judge_cleaned(task, folded) or folded


def rules_of(language: str) -> Rules:
    """The rules for replies in `language` (ISO 639-1)."""
    return JAPANESE if language in ("ja", "") else ENGLISH


def language_identity(task: Task) -> dict[str, Any]:
    """What decides how replies in the task's language are read; nothing where the rules are the Japanese ones, which VERSION counts."""
    rules = rules_of(task.language)
    return {} if rules is JAPANESE else {"rules": [rules.language, rules.version], "identifier": identification.identity()}


def _form(task: Task) -> frozenset[str]:
    """What the task says of its texts, as rules' `unless` names it."""
    return frozenset({SEVERAL_LINES if task.several_lines else ONE_LINE, *({MESSAGES} if task.genre == MESSAGES else ())})


def _says_something(text: str) -> bool:
    return any(map(str.isalnum, text))


def _stripped(text: str, strips: Sequence[Strip], form: frozenset[str], changes: list[str]) -> str:
    """The text after the rules, in order, until none changes it any more; their names are appended to `changes`."""
    for _ in range(_MOST_ROUNDS):
        before = text
        for rule in strips:
            if form.isdisjoint(rule.unless) and (changed := rule.apply(text)) != text:
                text = changed
                changes.append(rule.name)
        if text == before:
            return text
    raise _TooManyWrappers


def _refused(task: Task, text: str, rules: Rules, form: frozenset[str]) -> Reject | None:
    echoes = echoes_of(task, rules.label_line)
    if not _says_something(text):
        return Reject("empty")
    if echoes.names_label(text):
        return Reject("names its label", "label word")
    refusal: Refuse
    for refusal in rules.refusals:
        if form.isdisjoint(refusal.unless) and refusal.applies(text):
            return Reject(refusal.reason, refusal.name)
    return Reject("repeats the prompt", "sentence of the prompt") if echoes.repeats_prompt(text) else None


def _several_candidates(text: str, rules: Rules) -> Reject | None:
    """Lines that are counted, or listed as whole texts; one text of several lines may have a list within."""
    lines = [line for line in text.splitlines() if _says_something(line)]
    if len(lines) < 2:
        return None
    if sum(bool(NUMBERED.match(line) or rules.numbered_heading.match(line)) for line in lines) >= 2 and (
        NUMBERED.match(lines[0]) or rules.numbered_heading.match(lines[0])
    ):
        return Reject("several candidates", "numbered texts")
    if all(MARKER.match(line) and line.rstrip().endswith(rules.ends) for line in lines):
        return Reject("several candidates", "listed texts")
    if any(line.strip(" \u3000:：。、*-").casefold() in ("または", "あるいは", "もしくは", "or") for line in lines):
        return Reject("several candidates", "alternatives")
    return None


def _judge_cleaned(task: Task, text: str) -> Reject | None:
    if not _is_in_language(text, task.language):
        return Reject("wrong language")
    if len(text) < task.min_chars:
        return Reject("too short")
    if len(text) > task.max_chars:
        return Reject("too long")
    return None


def _is_in_language(text: str, language: str) -> bool:
    if language == "ja":
        return is_japanese(text)
    return not language or not identification.is_other_language(text, language)
