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
"""Ending -> forms that don't fit in its place."""

Words = list[str]


def break_sentence(words: Sequence[str], rng: random.Random) -> tuple[str, str] | None:
    """One broken form of the sentence and what was broken; None where none of the breaks finds a place."""
    breaks = [*_BREAKS]
    rng.shuffle(breaks)
    for break_words, target in breaks:
        broken = break_words(list(words), rng)
        if broken is not None and broken != list(words):
            return "".join(broken), target
    return None


def _positions(words: Words, wanted: Collection[str]) -> list[int]:
    """Indices of inner words that are `wanted`."""
    return [index for index in range(1, len(words) - 1) if words[index] in wanted]


def swap_particle(words: Words, rng: random.Random) -> Words | None:
    """Another particle that doesn't fit: 本を読む -> 本に読む."""
    positions = _positions(words, PARTICLES)
    if not positions:
        return None
    index = rng.choice(positions)
    words[index] = rng.choice(CONFUSED[words[index]])
    return words


def double_particle(words: Words, rng: random.Random) -> Words | None:
    """A second particle beside one: 本を読む -> 本をが読む."""
    positions = _positions(words, PARTICLES)
    if not positions:
        return None
    index = rng.choice(positions)
    return [*words[: index + 1], rng.choice(CONFUSED[words[index]]), *words[index + 1 :]]


def move_particle(words: Words, rng: random.Random) -> Words | None:
    """The particle before its noun: 本を読む -> を本読む."""
    positions = _positions(words, PARTICLES)
    if not positions:
        return None
    index = rng.choice(positions)
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
    positions = _positions(words, INFLECTED)
    if not positions:
        return None
    index = rng.choice(positions)
    words[index] = rng.choice(INFLECTED[words[index]])
    return words


def drop_particle(words: Words, rng: random.Random) -> Words | None:
    """Without a particle: 駅で待つ -> 駅待つ; not of は, が and を, which speech often drops."""
    positions = _positions(words, ("に", "で", "と", "から", "まで", "の"))
    if not positions:
        return None
    del words[rng.choice(positions)]
    return words


def repeat_case(words: Words, rng: random.Random) -> Words | None:
    """One case twice: 父が本を読む -> 父を本を読む."""
    positions = _positions(words, ("が", "を", "は"))
    if len(positions) < 2:
        return None
    first, second = rng.sample(positions, 2)
    words[first] = words[second]
    return words


_BREAKS: tuple[tuple[Callable[[Words, random.Random], Words | None], str], ...] = (
    (swap_particle, "助詞"), (swap_particle, "助詞"), (double_particle, "助詞"), (move_particle, "助詞"), (drop_particle, "助詞"),
    (repeat_case, "助詞"), (move_end, "語順"), (break_inflection, "動詞の活用"), (break_inflection, "動詞の活用"),
)  # fmt: skip
"""What breaks a sentence, and the grammatical target that it then has to do with."""
