"""Texts -> the same texts with a space after each word, for encoders that were pretrained on such text (`model.word_splitter`).

'jumanpp' is the only splitter: Juman++ v2, a program, called through the package rhoknp, as the encoders' own makers do it
(ku-nlp/deberta-v2-base-japanese-with-auto-jumanpp). Neither is among this project's requirements. Nothing here needs torch, so that
a plan can refuse before anything starts.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from shutil import which
from typing import Any

from japagen.config.schema import Encoder
from japagen.errors import ConfigError, TrainingError

CURE = (
    "for Juman++, `pip install rhoknp` into this environment and build v2 from https://github.com/ku-nlp/jumanpp/releases, so that the"
    " program `jumanpp` is on PATH; or choose an encoder whose tokenizer takes plain text, e.g. model=bert-base-japanese-v3 or"
    " model=modernbert-ja-130m"
)
TIMEOUT_S = 60
"""For one text; rhoknp's own 10 s are little on a machine that does other things."""


def check_splitter(encoder: Encoder) -> None:
    """Raises ConfigError, with the cure, where `encoder` needs its texts split into words and the means are missing."""
    if encoder.word_splitter and (missing := _missing()):
        raise ConfigError(f"model={encoder.name!r} needs its texts split into words by Juman++ first, and there is {missing}; {CURE}")


def split_words(texts: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The rows, each text with one space between its words; a text that comes often is split once.

    Raises TrainingError where Juman++ is missing or fails.
    """
    if missing := _missing():
        raise TrainingError(f"this student's texts must be split into words by Juman++ first, and there is {missing}; {CURE}")
    from rhoknp import Jumanpp

    jumanpp = Jumanpp()
    split = {}
    for text in dict.fromkeys(text for row in texts for text in row):
        try:
            split[text] = _split(jumanpp, text)
        except (RuntimeError, TimeoutError, ValueError, OSError) as error:
            raise TrainingError(f"Juman++ can't split {text[:60]!r} into words: {error}; does `jumanpp` run by itself?") from error
    return [tuple(split[text] for text in row) for row in texts]


def _missing() -> str:
    """What of the two is missing, in words; '' where both are here."""
    parts = [] if find_spec("rhoknp") else ["no Python package rhoknp"]
    parts += [] if which("jumanpp") else ["no program jumanpp on PATH"]
    return " and ".join(parts)


def _split(jumanpp: Any, text: str) -> str:
    line = " ".join(text.split())  # Juman++ reads line by line: a line break would begin another sentence
    if not line:
        return ""
    if line.startswith("#"):  # a comment to Juman++
        line = "＃" + line[1:]
    try:
        words = jumanpp.apply_to_sentence(line, TIMEOUT_S).morphemes
    except RuntimeError:  # nothing comes back for very long sentences: rhoknp then cuts the text into sentences of its own
        words = jumanpp.apply_to_document(line, TIMEOUT_S).morphemes
    return " ".join(" ".join(word.surf for word in words).split())
