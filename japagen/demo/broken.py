"""Unacceptable sentences by construction: morphemes of a plain sentence -> the same with one thing broken.

The breaks are of the kinds that JCoLA's sentences show: a particle swapped, dropped or doubled, words moved, inflection
broken. A broken sentence is not ungrammatical in every case (no filter checks it), which is enough for a demo model.
"""

import random
from collections.abc import Callable, Collection, Sequence

PARTICLES = ("は", "が", "を", "に", "で", "と", "へ", "から", "まで", "の")
CONFUSED = {
    "は": "をにで", "が": "をでへ", "を": "がにへ", "に": "をがの", "で": "をがへ", "と": "をへの", "へ": "をがの", "の": "をへに",
    "から": "をのへ", "まで": "をがの",
}  # fmt: skip
"""Particle -> particles that rarely fit in its place."""
INFLECTED = {
    "た": ("るた", "ない"), "だ": ("だだ", "ます"), "ます": ("ますだ", "るます"), "まし": ("ます", "ましる"), "ませ": ("ます", "ましな"),
    "ない": ("ないた", "ます"), "です": ("ですます", "いです"), "なかっ": ("ない", "なくっ"), "て": ("るて", "たて"), "い": ("いる", "う"),
}  # fmt: skip
"""Ending -> forms that can't stand in its place."""

Words = list[str]


def break_sentence(words: Sequence[str], rng: random.Random) -> str | None:
    """One broken form of the sentence, or None where none of the breaks finds a place."""
    breaks = [*_BREAKS]
    rng.shuffle(breaks)
    for break_words in breaks:
        broken = break_words(list(words), rng)
        if broken is not None and broken != list(words):
            return "".join(broken)
    return None


def _places(words: Words, wanted: Collection[str]) -> list[int]:
    """Indices of inner words that are `wanted`."""
    return [index for index in range(1, len(words) - 1) if words[index] in wanted]


def swap_particle(words: Words, rng: random.Random) -> Words | None:
    """Another particle that doesn't fit: 本を読む -> 本に読む."""
    places = _places(words, PARTICLES)
    if not places:
        return None
    index = rng.choice(places)
    words[index] = rng.choice(CONFUSED[words[index]])
    return words


def double_particle(words: Words, rng: random.Random) -> Words | None:
    """A second particle beside one: 本を読む -> 本をが読む."""
    places = _places(words, PARTICLES)
    if not places:
        return None
    index = rng.choice(places)
    return [*words[: index + 1], rng.choice(CONFUSED[words[index]]), *words[index + 1 :]]


def move_particle(words: Words, rng: random.Random) -> Words | None:
    """The particle before its noun: 本を読む -> を本読む."""
    places = _places(words, PARTICLES)
    if not places:
        return None
    index = rng.choice(places)
    words[index - 1], words[index] = words[index], words[index - 1]
    return words


def move_end(words: Words, rng: random.Random) -> Words | None:
    """The last morphemes before the full stop go to the middle."""
    body, stop = (words[:-1], words[-1:]) if words[-1] in "。？！" else (words, [])
    if len(body) < 5:
        return None
    cut = rng.randint(2, 3)
    rest, end = body[:-cut], body[-cut:]
    index = rng.randint(1, len(rest) - 1)
    return [*rest[:index], *end, *rest[index:], *stop]


def break_inflection(words: Words, rng: random.Random) -> Words | None:
    """An ending that its stem doesn't take: 行きました -> 行きるました."""
    places = _places(words, INFLECTED)
    if not places:
        return None
    index = rng.choice(places)
    words[index] = rng.choice(INFLECTED[words[index]])
    return words


_BREAKS: tuple[Callable[[Words, random.Random], Words | None], ...] = (
    swap_particle, swap_particle, double_particle, move_particle, move_end, break_inflection, break_inflection,
)  # fmt: skip
