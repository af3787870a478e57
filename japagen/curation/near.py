"""Near duplicates: texts (or pairs) of one label that share most of their characters in a row, found in time linear in their number.

MinHash signatures (datasketch) cut into bands name the candidates; the Jaccard similarity of the sets of character 3-grams
decides. A pair's second text has grams of its own, so the order of the two matters: a pair and its reverse are two rows, in JNLI with
labels of their own, in JSTS, which is symmetric, with one label and another input to the encoder. Broder 1997; Lee et al. 2022
("Deduplicating Training Data Makes Language Models Better") for what it is good for.

The bands are those of datasketch's MinHashLSH, but kept here: it takes 2.7 kB a text and these 0.15 kB, and a stream of a million texts is
to fit in 4 GB. The signatures are those of its MinHash, computed here: a gram's hash is looked up rather than made again, and what it does
besides takes longer than the arithmetic. A text taken is a reference to the caller's string; its 3-grams are made again when it is a
candidate.
"""

from array import array
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from datasketch import MinHash, MinHashLSH
from datasketch.hashfunc import sha1_hash32

PAIR_SEPARATOR = "\x1f"
"""Between a pair's texts, and before each gram of the second one: ASCII's unit separator, which no text holds."""
NGRAM = 3
"""Characters; texts shorter than that are one gram."""
NUM_PERMUTATIONS = 64
HIGHEST_INDEXED = 0.98
"""Higher thresholds share this one's bands: datasketch finds no two for them."""
_FACTORS, _SUMMANDS = MinHash(num_perm=NUM_PERMUTATIONS, seed=1).permutations
"""(NUM_PERMUTATIONS,) uint32 each: h -> factor * h + summand mod 2^32."""
_MIXING = np.random.RandomState(1).randint(0, 1 << 63, NUM_PERMUTATIONS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
"""Odd factors; a band's values times these, summed, are its key."""
_NO_TEXT = -1
_LEAST_SLOTS = 1 << 10
_MOST_GRAMS = 1 << 18
"""Whose hashes are remembered: 50 MB at most."""


class NearDuplicates:
    """The texts taken so far; `takes` says whether one more is new enough."""

    def __init__(self, threshold: float) -> None:
        """`threshold`: Jaccard similarity, above 0, up to 1, from which on two texts count as one."""
        self.threshold = threshold
        self._taken: list[str] = []
        self._index: Index | None = None

    def takes(self, *texts: str) -> bool:
        """True, and from then on they count, unless a text (or pair) taken before is as similar as the threshold; texts: one or two."""
        text = PAIR_SEPARATOR.join(texts)
        if self._index is None:
            self._index = Index(bands_of(self.threshold)[0])
        keys = self._keys(text)
        found = self._index.find(keys)
        if found and self._is_near(text, found):
            return False
        self._index.add(keys)
        self._taken.append(text)
        return True

    def _is_near(self, text: str, indices: set[int]) -> bool:
        grams = frozenset(grams_of(text))
        return any(similarity(grams, frozenset(grams_of(self._taken[index]))) >= self.threshold for index in indices)

    def _keys(self, text: str) -> list[int]:
        """The signature's bands, a number below 2^60 each; bands that differ hardly ever share one, which then costs a comparison."""
        num_bands, num_values = bands_of(self.threshold)
        num = num_bands * num_values
        hashes = np.array([*map(_hashes.__getitem__, grams_of(text))], dtype=np.uint32)
        values = (hashes[:, None] * _FACTORS[:num] + _SUMMANDS[:num]).min(axis=0)
        keys: list[int] = (values.reshape(num_bands, num_values) @ _MIXING[:num_values] >> np.uint64(4)).tolist()
        return keys


class NearTexts:
    """Some texts; `holds` says whether another one is as similar to one of them as a threshold."""

    def __init__(self, texts: Iterable[str], threshold: float) -> None:
        """`threshold`: Jaccard similarity of character 3-grams, above 0, up to 1."""
        self.threshold = threshold
        self._grams = [frozenset(grams_of(text)) for text in texts]
        self._holders: dict[str, list[int]] = {}
        for number, grams in enumerate(self._grams):
            for gram in grams:
                self._holders.setdefault(gram, []).append(number)

    def holds(self, text: str) -> bool:
        """Whether one of the texts is as similar to this one as the threshold; decided exactly, by an index of grams."""
        grams = frozenset(grams_of(text))
        shared = Counter(number for gram in grams for number in self._holders.get(gram, ()))
        return any(num / (len(grams) + len(self._grams[number]) - num) >= self.threshold for number, num in shared.items())


class Index:
    """The bands of all texts taken: a table of chained indices for each, in flat arrays (a dict takes five times as much)."""

    def __init__(self, num_bands: int) -> None:
        self._num_bands = num_bands
        self._num_texts = 0
        self._num_slots = _LEAST_SLOTS
        self._last = array("i", [_NO_TEXT]) * (num_bands * self._num_slots)
        """(bands, slots) -> the index of the text taken last whose key falls into the slot."""
        self._keys = array("Q")
        """(texts, bands)"""
        self._before = array("i")
        """(texts, bands) -> the index of the text taken before it in the same slot."""

    def find(self, keys: list[int]) -> set[int]:
        """The indices (0, 1, … as they were added) of the texts that share a band's key with these, one key a band."""
        found = set()
        last, stored, before, num_bands = self._last, self._keys, self._before, self._num_bands
        for band, slot in enumerate(self._slots(keys)):
            index = last[slot]
            while index != _NO_TEXT:
                at = index * num_bands + band
                if stored[at] == keys[band]:
                    found.add(index)
                index = before[at]
        return found

    def add(self, keys: list[int]) -> None:
        """Notes the keys of the next text."""
        if self._num_texts == self._num_slots:
            self._grow()
        last, slots = self._last, self._slots(keys)
        self._keys.extend(keys)
        self._before.extend([last[slot] for slot in slots])
        for slot in slots:
            last[slot] = self._num_texts
        self._num_texts += 1

    def _slots(self, keys: list[int]) -> list[int]:
        mask, firsts = self._num_slots - 1, range(0, len(self._last), self._num_slots)
        return [first + (key & mask) for first, key in zip(firsts, keys, strict=True)]

    def _grow(self) -> None:
        """Doubles the slots and assigns the texts to them anew."""
        self._num_slots *= 2
        keys = np.frombuffer(self._keys, dtype=np.uint64).reshape(-1, self._num_bands)
        before = np.frombuffer(self._before, dtype=np.int32).reshape(-1, self._num_bands)
        self._last = array("i", [_NO_TEXT]) * (self._num_bands * self._num_slots)
        last = np.frombuffer(self._last, dtype=np.int32).reshape(self._num_bands, self._num_slots)
        for band in range(self._num_bands):
            slots = (keys[:, band] & np.uint64(self._num_slots - 1)).astype(np.int64)
            order = np.argsort(slots, kind="stable")
            follows = slots[order[1:]] == slots[order[:-1]]
            before[order[0], band] = _NO_TEXT
            before[order[1:], band] = np.where(follows, order[:-1], _NO_TEXT)
            ends = np.append(~follows, True)
            last[band, slots[order[ends]]] = order[ends]


class GramHashes(dict[str, int]):
    """gram -> what datasketch permutes: its sha1's first 32 bits, mixed. Forgets all when it is full."""

    def __missing__(self, gram: str) -> int:
        if len(self) >= _MOST_GRAMS:
            self.clear()
        mixed = int(sha1_hash32(gram.encode()))
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):  # MurmurHash3's end
            mixed = (mixed ^ mixed >> shift) * factor & 0xFFFFFFFF
        self[gram] = mixed
        return mixed


_hashes = GramHashes()


@lru_cache
def bands_of(threshold: float) -> tuple[int, int]:
    """(bands, values in each) of a signature for this threshold."""
    # Candidates below the threshold cost a comparison, missed ones stay in: so the index favours finding.
    index = MinHashLSH(threshold=min(threshold, HIGHEST_INDEXED), num_perm=NUM_PERMUTATIONS, weights=(0.2, 0.8))
    return index.b, index.r


def grams_of(text: str) -> list[str]:
    """Its character 3-grams, each as often as it occurs; those of a pair's second text are marked."""
    first, separator, second = text.partition(PAIR_SEPARATOR)
    return _ngrams(first) + [separator + gram for gram in _ngrams(second)] if separator else _ngrams(text)


def _ngrams(text: str) -> list[str]:
    return [text[start : start + NGRAM] for start in range(max(1, len(text) - NGRAM + 1))]


def similarity(grams: frozenset[str], others: frozenset[str]) -> float:
    """Jaccard's: the share of grams that both have."""
    num_shared = len(grams & others)
    return num_shared / (len(grams) + len(others) - num_shared)
