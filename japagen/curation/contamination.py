"""Which training texts match evaluation texts: one rule for written and annotated texts, gold rows and exemplars.

Two texts match where they are equal (as `normalise` compares texts), where the Jaccard similarity of their sets of character 3-grams is 0.8
or more, or where 0.8 of a contained text's 3-grams occur in the other one; a contained text has 30 Japanese characters (60 Latin ones) or
more, since whole captions are contained in others by chance. A pair matches where either of its texts does. Characters in common alone are
no match: 13 in a row, the rule of GPT-3 (Brown et al. 2020, appendix C; there: words), hit a fifth of JSTS's train rows by common phrases,
and News by site (benchmarks/contamination.py); 13 that cover half of the shorter text still hit 14% of JNLI's, since captions share their
predicates.

Only the evaluation texts are read, never their labels. Dropped rows are not replaced, so the stream and the selection do not depend on the
evaluation data.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from japagen.curation.near import grams_of
from japagen.prompts.replies import normalise

SIMILARITY = 0.8
"""Jaccard similarity of 3-grams, and share of a contained text's 3-grams, from which on texts match."""
LEAST_WIDTH = 60
"""Of a contained text, in columns: 30 Japanese characters, or 60 Latin letters, of which 30 are a phrase of five words."""
FIRST_WIDE = "\u2e80"
"""From here on nearly all characters take two columns (CJK and kana; half-width kana are full-width ones under NFKC)."""
_CHUNK = 512
"""Texts compared at a time: bounds memory."""

Texts = tuple[str, ...]


class EvaluationTexts:
    """The texts of the scored splits, indexed by their 3-grams; comparisons are exact, no match is missed."""

    def __init__(self, texts: Iterable[str]) -> None:
        different = list(dict.fromkeys(map(normalise, texts)))
        self._exact = set(different)
        sets = [frozenset(grams_of(text)) for text in different]
        self._columns = {gram: column for column, gram in enumerate(dict.fromkeys(chain.from_iterable(sets)))}
        self._sizes = np.array([len(grams) for grams in sets])
        self._may_be_contained = np.array([may_be_contained(text) for text in different], dtype=bool)
        self._index: Any = self._matrix(sets).T.tocsr() if sets else None
        """(grams, texts) sparse float32, 1 where the text has the gram."""

    def matches(self, rows: Sequence[Texts]) -> list[bool]:
        """Whether any text of each row matches an evaluation text."""
        normalised = [tuple(map(normalise, row)) for row in rows]
        texts = dict.fromkeys(chain.from_iterable(normalised))
        found = {text for text in texts if text in self._exact}
        others = [text for text in texts if text not in found] if self._index is not None else []
        for start in range(0, len(others), _CHUNK):
            part = others[start : start + _CHUNK]
            found |= {part[index] for index in self._similar(part)}
        return [not found.isdisjoint(row) for row in normalised]

    def _similar(self, texts: Sequence[str]) -> set[int]:
        """The indices of the texts that are as similar as SIMILARITY to an evaluation text, contain one, or are contained in one."""
        sets = [frozenset(grams_of(text)) for text in texts]
        shared = (self._matrix(sets) @ self._index).tocoo()
        own = np.array([len(grams) for grams in sets])[shared.row]
        theirs = self._sizes[shared.col]
        can_be_contained = np.array([may_be_contained(text) for text in texts], dtype=bool)[shared.row]
        both = shared.data
        matching = (
            (both >= SIMILARITY * (own + theirs - both))
            | ((both >= SIMILARITY * own) & can_be_contained)
            | ((both >= SIMILARITY * theirs) & self._may_be_contained[shared.col])
        )
        return set(shared.row[matching].tolist())

    def _matrix(self, sets: Sequence[frozenset[str]]) -> Any:
        """(texts, grams) sparse float32 of the grams that evaluation texts have."""
        from scipy.sparse import csr_matrix

        columns = [[self._columns[gram] for gram in grams if gram in self._columns] for grams in sets]
        ends = np.cumsum([0, *map(len, columns)])
        flat = np.fromiter(chain.from_iterable(columns), dtype=np.int64, count=int(ends[-1]))
        return csr_matrix((np.ones(len(flat), dtype=np.float32), flat, ends), shape=(len(sets), len(self._columns)))


def may_be_contained(text: str) -> bool:
    """Whether the text is so long that most of its 3-grams occur in another text by no chance."""
    if len(text) >= LEAST_WIDTH:
        return True
    return 2 * len(text) >= LEAST_WIDTH and sum(1 + (character >= FIRST_WIDE) for character in text) >= LEAST_WIDTH
