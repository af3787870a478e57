"""Fourteen numbers that describe a pair of texts without reading them, and a linear model on these: the baseline `pair_features`.

What two sentences share, how long they are and which of them is negated tells much of a pair's label where people wrote the pairs
(Gururangan et al. 2018; Poliak et al. 2018; McCoy et al. 2019, lexical overlap). A student has learned something about meaning only
where it is above this model.
"""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

import numpy as np

from japagen.evaluation.metrics import Array
from japagen.tasks import Example

NAMES = (
    "jaccard_1", "jaccard_2", "jaccard_3", "first_in_second_1", "second_in_first_1", "first_in_second_2", "second_in_first_2",
    "matching", "same_ending", "length_first", "length_second", "negated_first", "negated_second", "negation_differs",
)  # fmt: skip
"""The features in their order; a number at the end is that of the character n-grams, an ending is two characters."""

_JAPANESE = re.compile(r"な[いくかけ]|ません|[ずぬ](?:に|、|。|$)|[無不未非]|違")
_ENGLISH = re.compile(r"\b(?:not|no|never|none|nobody|nothing|neither|nor|without|cannot)\b|n['’]t\b", re.IGNORECASE)
_NEGATION = {"ja": _JAPANESE, "": _JAPANESE}
"""Language of a task -> its negation; every other language has the English one."""


def pair_features(rows: Sequence[Example], language: str) -> Array:
    """The features of each pair, (N, 14) float64, in the order of NAMES; language: the task's."""
    negation = _NEGATION.get(language, _ENGLISH)
    return np.array([_features(row.texts[0], row.texts[1], negation) for row in rows], dtype=np.float64).reshape(len(rows), len(NAMES))


def _features(first: str, second: str, negation: re.Pattern[str]) -> list[float]:
    grams = [(_ngrams(first, n), _ngrams(second, n)) for n in (1, 2, 3)]
    negated = [float(bool(negation.search(text))) for text in (first, second)]
    return [
        *(_share(left & right, left | right) for left, right in grams),
        *(_share(left & right, side) for left, right in grams[:2] for side in (left, right)),
        SequenceMatcher(None, first, second, autojunk=False).ratio(),
        float(first[-2:] == second[-2:]),
        *(float(np.log1p(len(text))) for text in (first, second)),
        *negated,
        float(negated[0] != negated[1]),
    ]


def _ngrams(text: str, n: int) -> set[str]:
    return {text[start : start + n] for start in range(len(text) - n + 1)}


def _share(part: set[str], whole: set[str]) -> float:
    """Size of `part` over that of `whole`; 1 where both are empty."""
    return len(part) / len(whole) if whole else 1.0
