"""Verbalized sampling (Zhang et al. 2025, arXiv 2510.01171): one reply lists several texts, each with the probability the LLM gives it.

Asked for one text at a time, a tuned LLM writes its most typical one again and again; asked for a list with probabilities it shows more
of what it could have written. Here stand what asks for the list, the pattern that vLLM holds the reply to, and how the reply is read:
it is checked again on our side, since other servers ignore the pattern and a reply may be cut off.
"""

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

from japagen.prompts.replies import FINISHED, UNFINISHED
from japagen.prompts.scaffold import JAPANESE, Scaffold
from japagen.tasks import PROBABILITY

UNLISTED = "unlisted"
"""finish_reason of texts that a finished reply doesn't list."""
_NUMBERED = re.compile(r"^\s*[(（]?(\d{1,3})\s*[.)）．、:：]\s*(.*)$")
_TRAILING = re.compile(r"[(（\[]\s*+(?:(?:確率|probability)\s*+)?(?:[:：=]\s*+)?([01](?:\.\d+)?|\.\d+)\s*[)）\]]$", re.I)

_OBJECT = re.compile(r'\{\s*+"')
_MOST_CHARS = 100_000
"""What a reply of nothing but broken objects takes grows with the square of its length."""


@dataclass(frozen=True)
class Listed:
    """One text of a list."""

    text: str
    finish_reason: str = "stop"
    """stop; length where the reply was cut off before its end; error; or UNLISTED."""
    attributes: dict[str, str] = field(default_factory=dict)
    """Its probability as the LLM put it, where it did."""


def list_phrase(num: int, scaffold: Scaffold = JAPANESE) -> str:
    """Follows an instruction that asks for one text, and asks for `num` in a list."""
    return scaffold.list_request.format(num=num)


def list_pattern(num: int) -> str:
    """Regular expression of the list in JSON.

    Not a JSON schema, since vLLM 0.32 allows any white space between its parts, and a small LLM may write nothing but line breaks.
    """
    space, text, probability = r"[ \n]{0,5}", r'"([^"\\\x00-\x1f]|\\["\\/nt])+"', r"(0(\.[0-9]{1,4})?|1(\.0)?)"
    item = rf'\{{{space}"text": ?{text},{space}"probability": ?{probability}{space}\}}'
    return rf"\[{space}{item}(,{space}{item}){{{num - 1}}}{space}\]"


def read_list(reply: str, finish_reason: str, num: int) -> list[Listed]:
    """`num` texts: those that the reply lists in JSON or in numbered lines, then empty ones for what is missing.

    Of a reply that was cut off (any finish_reason but `replies.FINISHED`) the whole texts count. A reply without a list becomes, raw, the
    first text.
    """
    is_cut = finish_reason != FINISHED
    missing = Listed("", (finish_reason if finish_reason in UNFINISHED else "length") if is_cut else UNLISTED)
    found = _read_objects(reply) or _read_lines(reply, is_cut)
    if not found:
        return [Listed(reply, missing.finish_reason), *[missing] * (num - 1)]
    return [*found[:num], *[missing] * (num - len(found))]


def _read_objects(reply: str) -> list[Listed]:
    """Every whole JSON object with a `text`, whatever is around it, in the reply's first _MOST_CHARS characters."""
    reply = reply[:_MOST_CHARS]
    found, decoder, opening = [], json.JSONDecoder(), _OBJECT.search(reply)
    while opening:
        end = opening.start() + 1
        try:
            value, past = decoder.raw_decode(reply, opening.start())
        except (ValueError, RecursionError):
            value, past = None, end
        if isinstance(value, dict) and isinstance(value.get("text"), str):
            text = value["text"].encode(errors="replace").decode()  # JSON can write half a surrogate pair, which is no text
            found.append(Listed(text, attributes=_probability(value.get("probability"))))
            end = past
        opening = _OBJECT.search(reply, end)
    return found


def _read_lines(reply: str, is_cut: bool) -> list[Listed]:
    """Texts numbered 1, 2, …, each up to the next number."""
    texts: list[list[str]] = []
    for line in reply.splitlines():
        numbered = _NUMBERED.match(line)
        if numbered and int(numbered[1]) == len(texts) + 1:
            texts.append([numbered[2]])
        elif texts:
            texts[-1].append(line)
    found = []
    for lines in texts[:-1] if is_cut else texts:
        text = "\n".join(lines).strip()
        trailing = _TRAILING.search(text)
        found.append(Listed(text[: trailing.start()].rstrip(), attributes=_probability(trailing[1])) if trailing else Listed(text))
    return found


def _probability(raw: Any) -> dict[str, str]:
    try:
        value = float(raw)
    except (TypeError, ValueError, OverflowError):
        return {}
    return {PROBABILITY: f"{value:g}"} if math.isfinite(value) else {}
