"""How much texts differ from each other: distinct-n, vocabulary, Self-BLEU.

Tokens are MeCab's short units by UniDic-lite, punctuation included, after NFKC. As texts are added distinct-n falls and Self-BLEU
rises, so beside gold both sides are measured at one size: as many tokens, and as many texts.

distinct-n  different n-grams over all n-grams within texts (Li et al. 2016); distinct-1 is the type-token ratio
Self-BLEU-4 each text's BLEU against all others as references, its mean (Zhu et al. 2018); high: texts repeat each other
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from japagen.prompts.replies import normalise
from japagen.quality.samples import SEED, draw

TOKENIZER = "MeCab, UniDic-lite"
MOST_TEXTS = 20_000
"""Texts tokenised at most, a seeded draw: some ten seconds."""
BLEU_TEXTS = 300
MECAB_CHARS = 10_000
"""Characters given to MeCab at once: its time grows with the square of a word's length, and half a million end the process."""
SEGMENT_TOKENS = 1000
"""The type-token ratio by segments of so many tokens doesn't depend on how many texts there are."""
_EPSILON = 0.1
"""The count used for no match at all (smoothing 1 of Chen and Cherry 2014)."""

Tokens = Sequence[str]


def tokenise(texts: Sequence[str]) -> list[list[str]]:
    """The texts' tokens; spaces are none."""
    from fugashi import Tagger

    tagger = Tagger("-Owakati")
    return [[token for part in _parts(normalise(text)) for token in tagger.parse(part).split()] for text in texts]


def _parts(text: str) -> Iterator[str]:
    return (text[start : start + MECAB_CHARS] for start in range(0, len(text), MECAB_CHARS))


def diversity(texts: Sequence[str], gold: Sequence[str] | None) -> dict[str, Any]:
    """`own`: of the different ones among `texts`; `equal_size`: of as many tokens and texts of both sides, None without gold."""
    different = list(dict.fromkeys(texts))
    own = tokenise(draw(different, MOST_TEXTS))
    measured: dict[str, Any] = {
        "tokenizer": TOKENIZER,
        "seed": SEED,
        "texts": len(texts),
        "different_texts": len(different),
        "own": vocabulary(own) | {"self_bleu_4": self_bleu(own[:BLEU_TEXTS]), "self_bleu_texts": len(own[:BLEU_TEXTS])},
        "equal_size": None,
    }
    if gold:
        other = tokenise(draw(list(dict.fromkeys(gold)), MOST_TEXTS))
        measured["equal_size"] = _at_equal_size(own, other)
    return measured


def _at_equal_size(own: list[list[str]], gold: list[list[str]]) -> dict[str, Any]:
    num_tokens = min(sum(map(len, own)), sum(map(len, gold)))
    num_texts = min(len(own), len(gold), BLEU_TEXTS)
    return {
        name: vocabulary(first_tokens(tokens, num_tokens)) | {"self_bleu_4": self_bleu(tokens[:num_texts]), "self_bleu_texts": num_texts}
        for name, tokens in (("synthetic", own), ("gold", gold))
    }


def first_tokens(texts: Sequence[Tokens], num: int) -> list[Tokens]:
    """The first `num` tokens, the last text cut where need be."""
    taken: list[Tokens] = []
    for tokens in texts:
        if num <= 0:
            break
        taken.append(tokens[:num])
        num -= len(tokens)
    return taken


def vocabulary(texts: Sequence[Tokens]) -> dict[str, Any]:
    """texts, tokens, types (different tokens), once_share (types that come once), segment_ttr (mean type-token ratio of whole segments of
    SEGMENT_TOKENS, None for fewer tokens) and distinct_1 to distinct_3 (None where no text is so long)."""
    counts = Counter(token for tokens in texts for token in tokens)
    return {
        "texts": len(texts),
        "tokens": counts.total(),
        "types": len(counts),
        "once_share": sum(count == 1 for count in counts.values()) / len(counts) if counts else None,
        "segment_ttr": segment_ttr(texts),
        **{f"distinct_{size}": distinct(texts, size) for size in (1, 2, 3)},
    }


def segment_ttr(texts: Sequence[Tokens]) -> float | None:
    """Mean over whole segments of SEGMENT_TOKENS, texts joined in their order."""
    joined = [token for tokens in texts for token in tokens]
    starts = range(0, len(joined) - SEGMENT_TOKENS + 1, SEGMENT_TOKENS)
    ratios = [len(set(joined[start : start + SEGMENT_TOKENS])) / SEGMENT_TOKENS for start in starts]
    return sum(ratios) / len(ratios) if ratios else None


def distinct(texts: Sequence[Tokens], size: int) -> float | None:
    """Different n-grams of `size` tokens over all of them."""
    grams = [gram for tokens in texts for gram in _ngrams(tokens, size)]
    return len(set(grams)) / len(grams) if grams else None


def self_bleu(texts: Sequence[Tokens], order: int = 4) -> float | None:
    """Mean BLEU of each text against all others, 0 to 1; None for fewer than two texts. Linear in the number of tokens."""
    if len(texts) < 2:
        return None
    counts = [[Counter(_ngrams(tokens, size)) for tokens in texts] for size in range(1, order + 1)]
    tops = [_two_highest(of_size) for of_size in counts]
    lengths = Counter(len(tokens) for tokens in texts)
    bleus = []
    for index, tokens in enumerate(texts):
        logs = [math.log(_precision(of_size[index], index, top)) for of_size, top in zip(counts, tops, strict=True)]
        bleus.append(_brevity(len(tokens), lengths) * math.exp(sum(logs) / order))
    return sum(bleus) / len(bleus)


def _ngrams(tokens: Tokens, size: int) -> Iterator[tuple[str, ...]]:
    return zip(*(tokens[start:] for start in range(size)), strict=False)


Top = tuple[int, int, int]
"""Highest count of an n-gram in a text, that text's index, and the highest count in any other text."""


def _two_highest(counts: Sequence[Counter[tuple[str, ...]]]) -> dict[tuple[str, ...], Top]:
    tops: dict[tuple[str, ...], Top] = {}
    for index, of_text in enumerate(counts):
        for gram, count in of_text.items():
            highest, owner, second = tops.get(gram, (0, -1, 0))
            tops[gram] = (count, index, highest) if count > highest else (highest, owner, max(second, count))
    return tops


def _precision(counts: Counter[tuple[str, ...]], index: int, tops: dict[tuple[str, ...], Top]) -> float:
    """Clipped precision of one text's n-grams against all other texts."""
    matches = 0
    for gram, count in counts.items():
        highest, owner, second = tops[gram]
        matches += min(count, second if owner == index else highest)
    return (matches or _EPSILON) / max(1, counts.total())


def _brevity(length: int, lengths: Counter[int]) -> float:
    """Penalty against the closest length among the other texts, of two as close the shorter."""
    others = [other for other, count in lengths.items() if count > (other == length)]
    closest = min(others, key=lambda other: (abs(other - length), other))
    if length >= closest:
        return 1.0
    return math.exp(1 - closest / length) if length else 0.0
