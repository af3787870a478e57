"""Drops training texts that match evaluation texts; beside it only `japagen.gold.overlap`, for gold rows, lets evaluation data touch
training data.

Only the evaluation texts are read, never their labels. It is the last step and asks for no replacement, so the stream and
the selection do not depend on the evaluation data. `curate.contamination=off` shows the score without it.
"""

from collections.abc import Iterable

from japagen.prompts.replies import normalise

NGRAM = 13
"""Characters in common that make a match, as in the decontamination of GPT-3 (there: words)."""


class EvaluationTexts:
    """The texts of an evaluation split, indexed for exact and n-gram matches."""

    def __init__(self, texts: Iterable[str], ngrams: bool) -> None:
        self._exact = {normalise(text) for text in texts}
        self._ngrams = {gram for text in self._exact for gram in _ngrams(text)} if ngrams else set()

    def match(self, text: str) -> bool:
        """Whether the text equals an evaluation text or shares NGRAM characters in a row with one."""
        normalised = normalise(text)
        return normalised in self._exact or not self._ngrams.isdisjoint(_ngrams(normalised))


def _ngrams(text: str) -> list[str]:
    return [text[start : start + NGRAM] for start in range(len(text) - NGRAM + 1)]
