"""What the demo models learn from, and the overlap rule: mirror folder -> Corpus of plain texts and labelled pairs.

Rule: no text that occurs in any evaluation split goes in, whichever file it comes from. A row is dropped when one of its
sentences equals an evaluation sentence (after `normalise`) or when it shows an image or a caption that an evaluation row
shows (`yjcaptions_id` = images-captionA-captionB). Texts that we make later (grammar, edits, broken sentences) pass the
same `Evaluation.holds`.
"""

import csv
import json
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from japagen.errors import DataError

MAX_CHARS = 50
"""Longest sentence learned from, in characters: what the tasks' prompts ask for."""

JSTS_TRAIN = "JGLUE/jsts-v1.3/train-v1.3.json"
JNLI_NEG_TRAIN = "JNLI-Neg/jnli-neg-v1.1/jnli-neg-train-v1.1.jsonl"
JCOLA_TRAIN = "JCoLA/jcola-v1.0/in_domain_train-v1.0.json"
JCM_TRAIN = "commonsense-moral-ja/data/data_train.csv"
PLAIN = "small_parallel_enja/train.ja"
EVALUATION_FILES = (
    "JGLUE/jsts-v1.3/valid-v1.3.json",
    "JGLUE/jsts-v1.3/test-v1.3.json",
    "JGLUE/jnli-v1.3/valid-v1.3.json",
    "JGLUE/jnli-v1.3/test-v1.3.json",
    "JNLI-Neg/jnli-neg-v1.1/jnli-neg-valid-v1.1.jsonl",
    "JCoLA/jcola-v1.0/in_domain_valid-v1.0.json",
    "JCoLA/jcola-v1.0/out_of_domain_valid-v1.0.json",
    "commonsense-moral-ja/data/data_val.csv",
    "commonsense-moral-ja/data/data_test.csv",
)

Row = dict[str, Any]


@dataclass(frozen=True)
class Pair:
    """Two sentences and their label: a score as written in JSTS, or a JNLI relation."""

    first: str
    second: str
    label: str
    first_negated: bool = False
    """JNLI-Neg only: the premise is a negated caption, which says what a picture doesn't show."""


@dataclass(frozen=True)
class Judged:
    """One sentence and whether it is acceptable: as Japanese (JCoLA), or as what somebody does (JCommonsenseMorality)."""

    text: str
    acceptable: bool


@dataclass
class Evaluation:
    """All that the evaluation splits hold, to keep it out."""

    texts: set[str] = field(default_factory=set)
    """Normalised sentences."""
    images: set[str] = field(default_factory=set)
    captions: set[str] = field(default_factory=set)

    def holds(self, text: str) -> bool:
        return normalise(text) in self.texts

    def shows(self, yjcaptions_id: str) -> bool:
        """Whether an evaluation row shows one of this row's images or captions."""
        images, captions = split_caption_id(yjcaptions_id)
        return not images.isdisjoint(self.images) or not captions.isdisjoint(self.captions)


@dataclass
class Corpus:
    """Rows left after the overlap rule and the length limit; `counts` says how many of how many."""

    jsts: list[Pair]
    jnli: list[Pair]
    jcola: list[Judged]
    jcm: list[Judged]
    plain: list[list[str]]
    """Sentences of everyday Japanese as lists of morphemes (the file parts them by spaces)."""
    evaluation: Evaluation
    counts: dict[str, tuple[int, int]]
    """Source -> (rows kept, rows read)."""

    def captions(self) -> list[str]:
        """Each caption of JSTS and JNLI once, in the order of first appearance; no negated ones."""
        return list(dict.fromkeys(text for pair in self.jsts for text in (pair.first, pair.second)))

    def sentences(self) -> Iterator[str]:
        """Every sentence that a model learns from, with repeats."""
        yield from (text for pair in (*self.jsts, *self.jnli) for text in (pair.first, pair.second))
        yield from (row.text for row in (*self.jcola, *self.jcm))
        yield from ("".join(words) for words in self.plain)


def normalise(text: str) -> str:
    """NFKC, without white space and final full stops, so that trivial variants of a text count as the same."""
    return "".join(unicodedata.normalize("NFKC", text).split()).rstrip("。.")


def split_caption_id(yjcaptions_id: str) -> tuple[set[str], set[str]]:
    """('1_2-30-40') -> ({'1', '2'}, {'30', '40'}): the images and the captions that a row shows."""
    images, *captions = yjcaptions_id.split("-")
    return set(images.split("_")), set(captions)


def load_evaluation(mirror: Path) -> Evaluation:
    """Texts, images and captions of every evaluation split."""
    found = Evaluation()
    for path in EVALUATION_FILES:
        for row in read_rows(mirror / path):
            found.texts.update(normalise(text) for text in row_texts(row))
            if "yjcaptions_id" in row:
                images, captions = split_caption_id(row["yjcaptions_id"])
                found.images |= images
                found.captions |= captions
    return found


def load_corpus(mirror: Path) -> Corpus:
    """The sources under `mirror`, filtered; raises DataError where a file is missing."""
    evaluation = load_evaluation(mirror)
    jsts, jnli, jcola, jcm = (read_rows(mirror / path) for path in (JSTS_TRAIN, JNLI_NEG_TRAIN, JCOLA_TRAIN, JCM_TRAIN))
    plain = _open(mirror / PLAIN).splitlines()
    corpus = Corpus(
        jsts=[
            Pair(row["sentence1"], row["sentence2"], str(row["label"]))
            for row in jsts
            if not evaluation.shows(row["yjcaptions_id"]) and _fits(row_texts(row), evaluation)
        ],
        jnli=_jnli_pairs(jnli, evaluation),
        jcola=[Judged(row["sentence"], row["label"] == 1) for row in jcola if _fits(row_texts(row), evaluation)],
        jcm=[Judged(row["sent"], row["label"] == "0") for row in jcm if _fits(row_texts(row), evaluation)],
        plain=[words for words in map(str.split, plain) if _fits(["".join(words)], evaluation)],
        evaluation=evaluation,
        counts={},
    )
    read = {"jsts": len(jsts), "jnli": len(jnli), "jcola": len(jcola), "jcm": len(jcm), "plain": len(plain)}
    corpus.counts = {name: (len(getattr(corpus, name)), number) for name, number in read.items()}
    return corpus


def _jnli_pairs(rows: list[Row], evaluation: Evaluation) -> list[Pair]:
    """JNLI-Neg's pairs; one bad sentence drops its whole group, since the others are its negations."""
    bad = {row["jnli_sentence_pair_id"] for row in rows if any(map(evaluation.holds, row_texts(row)))}
    return [
        Pair(row["sentence1"]["sentence"], row["sentence2"]["sentence"], row["gold_label"], row["sentence1"]["neg"] is not None)
        for row in rows
        if row["jnli_sentence_pair_id"] not in bad and _fits(row_texts(row), evaluation)
    ]


def row_texts(row: Row) -> list[str]:
    """The sentences of a row of any of the files."""
    values = [row[key] for key in ("sentence", "sentence1", "sentence2", "sent") if key in row]
    return [value if isinstance(value, str) else value["sentence"] for value in values]


def read_rows(path: Path) -> list[Row]:
    """The rows of a file of JSON lines or CSV."""
    if path.suffix == ".csv":
        return list(csv.DictReader(_open(path).splitlines()))
    return [json.loads(line) for line in _open(path).splitlines() if line.strip()]


def _open(path: Path) -> str:
    if not path.is_file():
        raise DataError(f"{path} is missing: the mirror folder must hold the publishers' files (see japagen/demo/llm/README.md)")
    return path.read_text(encoding="utf-8")


def _fits(texts: Iterable[str], evaluation: Evaluation) -> bool:
    return all(1 < len(text) <= MAX_CHARS and not evaluation.holds(text) for text in texts)
