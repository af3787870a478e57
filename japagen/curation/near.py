"""Near duplicates: texts of one label that share most of their characters in a row, found in time linear in their number.

MinHash signatures in an LSH index (datasketch) name the candidates; the Jaccard similarity of the sets of character 3-grams
decides. Broder 1997; Lee et al. 2022 ("Deduplicating Training Data Makes Language Models Better") for what it is good for.
"""

from functools import cached_property

from datasketch import MinHash, MinHashLSH

NGRAM = 3
"""Characters; texts shorter than that are one gram."""
NUM_PERMUTATIONS = 64


class NearDuplicates:
    """The texts taken so far; `takes` says whether one more is new enough."""

    def __init__(self, threshold: float) -> None:
        """`threshold`: Jaccard similarity, above 0, up to 1, from which on two texts count as one."""
        self.threshold = threshold
        self._taken: list[frozenset[str]] = []

    @cached_property
    def _index(self) -> MinHashLSH:
        # Candidates below the threshold cost a comparison, missed ones stay in: so the index favours finding.
        return MinHashLSH(threshold=self.threshold, num_perm=NUM_PERMUTATIONS, weights=(0.2, 0.8))

    def takes(self, text: str) -> bool:
        """True, and from then on it counts, unless a text taken before is as similar as the threshold."""
        grams = frozenset(text[start : start + NGRAM] for start in range(max(1, len(text) - NGRAM + 1)))
        signature = MinHash(num_perm=NUM_PERMUTATIONS, seed=1)
        signature.update_batch([gram.encode() for gram in sorted(grams)])
        if any(self._similarity(grams, self._taken[place]) >= self.threshold for place in self._index.query(signature)):
            return False
        self._index.insert(len(self._taken), signature)
        self._taken.append(grams)
        return True

    @staticmethod
    def _similarity(grams: frozenset[str], others: frozenset[str]) -> float:
        return len(grams & others) / len(grams | others)
