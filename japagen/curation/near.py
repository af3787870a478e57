"""Near duplicates: texts of one label that share most of their characters in a row, found in time linear in their number.

MinHash signatures (datasketch) cut into bands name the candidates; the Jaccard similarity of the sets of character 3-grams
decides. Broder 1997; Lee et al. 2022 ("Deduplicating Training Data Makes Language Models Better") for what it is good for.

The bands are those of datasketch's MinHashLSH, but kept here: it takes 2.7 kB a text and these 0.6 kB, and a stream of a million texts is
to fit in 4 GB. A text taken is a reference to the caller's string; its 3-grams are made again when it is a candidate.
"""

from array import array
from functools import cached_property, lru_cache

import numpy as np
from datasketch import MinHash, MinHashLSH
from datasketch.hashfunc import sha1_hash32

NGRAM = 3
"""Characters; texts shorter than that are one gram."""
NUM_PERMUTATIONS = 64
HIGHEST_INDEXED = 0.98
"""Higher thresholds share this one's bands: datasketch finds no two for them."""
_MIXING = np.random.RandomState(1).randint(0, 1 << 63, NUM_PERMUTATIONS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
"""Odd factors; a band's values times these, summed, are its key."""
_NO_PLACE = -1


class NearDuplicates:
    """The texts taken so far; `takes` says whether one more is new enough."""

    def __init__(self, threshold: float) -> None:
        """`threshold`: Jaccard similarity, above 0, up to 1, from which on two texts count as one."""
        self.threshold = threshold
        self._taken: list[str] = []
        self._sketch = MinHash(num_perm=NUM_PERMUTATIONS, seed=1, hashfunc=_hash_gram)

    @cached_property
    def _bands(self) -> list["Band"]:
        return [Band() for _ in range(bands_of(self.threshold)[0])]

    def takes(self, text: str) -> bool:
        """True, and from then on it counts, unless a text taken before is as similar as the threshold."""
        grams = grams_of(text)
        keys = self._keys(grams)
        found: set[int] = set()
        for band, key in zip(self._bands, keys, strict=True):
            band.find(key, found)
        if any(similarity(grams, grams_of(self._taken[place])) >= self.threshold for place in found):
            return False
        for band, key in zip(self._bands, keys, strict=True):
            band.add(key, len(self._taken))
        self._taken.append(text)
        return True

    def _keys(self, grams: frozenset[str]) -> list[int]:
        """The signature's bands, a number below 2^60 each; bands that differ hardly ever share one, which then costs a comparison."""
        num_bands, num_values = bands_of(self.threshold)
        self._sketch.clear()  # to make a MinHash takes longer than to fill one
        self._sketch.update_batch(grams)
        values = self._sketch.hashvalues[: num_bands * num_values].reshape(num_bands, num_values)
        keys: list[int] = (values @ _MIXING[:num_values] >> np.uint64(4)).tolist()
        return keys


class Band:
    """One part of all signatures: the places (0, 1, … in the order of `add`) of texts that have the same key."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}
        """key -> the place added last."""
        self._before = array("i")
        """place -> the place added before it under the same key."""

    def find(self, key: int, found: set[int]) -> None:
        """Adds the key's places to `found`."""
        place = self._last.get(key, _NO_PLACE)
        while place != _NO_PLACE:
            found.add(place)
            place = self._before[place]

    def add(self, key: int, place: int) -> None:
        """Notes that the text at `place`, the next one, has this key."""
        self._before.append(self._last.get(key, _NO_PLACE))
        self._last[key] = place


@lru_cache
def bands_of(threshold: float) -> tuple[int, int]:
    """(bands, values in each) of a signature for this threshold."""
    # Candidates below the threshold cost a comparison, missed ones stay in: so the index favours finding.
    index = MinHashLSH(threshold=min(threshold, HIGHEST_INDEXED), num_perm=NUM_PERMUTATIONS, weights=(0.2, 0.8))
    return index.b, index.r


@lru_cache(maxsize=8192)
def grams_of(text: str) -> frozenset[str]:
    """Its character 3-grams."""
    return frozenset([text[start : start + NGRAM] for start in range(max(1, len(text) - NGRAM + 1))])


def similarity(grams: frozenset[str], others: frozenset[str]) -> float:
    """Jaccard's: the share of grams that both have."""
    num_shared = len(grams & others)
    return num_shared / (len(grams) + len(others) - num_shared)


@lru_cache(maxsize=1 << 18)
def _hash_gram(gram: str) -> int:
    return int(sha1_hash32(gram.encode()))
