"""News articles of our own grammar: what the demo language model reads to learn the nine categories of `task=news`.

`article(label, rng)` fills frames of one desk (a group of frames about the same kind of event) with the category's words, both from
article_words.py. A slot keeps its word through a text, so that the body speaks of what the headline announced.
"""

import random
import re
from functools import cache

from demo_models.article_words import COMMON, TOPICS, Desk

MIN_CHARS, MAX_CHARS = 50, 150
SLOT = re.compile(r"\{(\w+?)(\d?)\}")
"""{name}, or {name2} for another word of the same table."""
ASIDES = frozenset(f"{{{table}{digit}}}" for table in COMMON for digit in ("", *"0123456789"))
"""Slots that every topic has: dates, numbers, names."""


def article(label: str, rng: random.Random) -> str:
    """Headline, one space, beginning of the body: 50 to 150 characters. Raises KeyError for a label that isn't a news category."""
    if label not in TOPICS:
        raise KeyError(f"no articles for {label!r}; labels: {', '.join(TOPICS)}")
    topic = TOPICS[label]
    while True:
        desk = rng.choice(topic.desks)
        text = _draft(topic.words | desk.words, desk, rng)
        if MIN_CHARS <= len(text) <= MAX_CHARS:
            return text


def _draft(words: dict[str, tuple[str, ...]], desk: Desk, rng: random.Random) -> str:
    """An article of any length: one headline, one opening, further sentences up to a length drawn at random."""
    chosen: dict[str, str] = {}
    text = _fill(rng.choice(desk.headlines), words, chosen, rng)
    text += " " + _fill(rng.choice(_related(desk.openings, chosen)), words, chosen, rng)
    wanted_chars = rng.randint(65, 120)
    for frame in rng.sample(_related(desk.more, chosen), 3):
        if len(text) < wanted_chars:
            text += _fill(frame, words, chosen, rng)
    return text


def _related(frames: list[str], chosen: dict[str, str]) -> list[str]:
    """The frames that speak of something already named, or of nothing in particular; all of them if those are fewer than three."""
    topical = chosen.keys() - ASIDES
    related = [frame for frame in frames if not _slots(frame) - ASIDES or _slots(frame) & topical]
    return related if len(related) >= 3 else frames


@cache
def _slots(frame: str) -> frozenset[str]:
    return frozenset(slot[0] for slot in SLOT.finditer(frame))


def _fill(frame: str, words: dict[str, tuple[str, ...]], chosen: dict[str, str], rng: random.Random) -> str:
    """The frame with every slot replaced; `chosen` remembers each slot's word, and two slots of a table get two words."""

    def word(slot: re.Match[str]) -> str:
        key, table = slot[0], slot[1]
        if key not in chosen:
            free = [word for word in words.get(table) or COMMON[table] if word not in chosen.values()]
            chosen[key] = _fill(rng.choice(free), words, chosen, rng)
        return chosen[key]

    return SLOT.sub(word, frame)
