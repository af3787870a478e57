"""The smoke sample: as many rows as promised, balanced, clean of real data, and apart between train and valid."""

import csv
import json
import unicodedata
from collections import Counter

import pytest

from japagen.config.schema import Data
from japagen.gold import Split, draw_exemplars, read_eval, read_train
from tests.conftest import MIRROR, load_task, needs_mirror

TASKS = ("marcja", "jsts", "jnli", "jcola", "news", "covid19", "jcm", "banking77")
PER_LABEL = {"banking77": 3}
"""Train rows of each label; of other tasks 10."""


def read_sample(name: str) -> tuple[Split, Split]:
    train, valid = read_train(load_task(name), Data()), read_eval(load_task(name), Data())
    assert train is not None
    assert valid is not None
    return train, valid


def normalized(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip()


def sentences(split: Split) -> set[str]:
    return {normalized(text) for example in split.examples for text in example.texts}


@pytest.mark.parametrize("name", TASKS)
def test_enough_rows_for_each_label(name: str) -> None:
    task = load_task(name)
    train, valid = read_sample(name)
    num = PER_LABEL.get(name, 10)
    exemplars = draw_exemplars(task, train, num, seed=0)  # regression: within 0.3 of the level
    assert [len(rows) for rows in exemplars.values()] == [num] * len(task.labels)
    assert len(valid.examples) >= 120
    assert set(Counter(example.label for example in valid.examples).values()) == {len(valid.examples) // len(task.labels)}


def test_jsts_scores_cover_the_scale_with_decimals() -> None:
    scores = {example.score for example in read_sample("jsts")[1].examples if example.score is not None}
    assert min(scores) == 0
    assert max(scores) == 5
    assert {0.4, 0.6, 1.4, 1.6, 2.4, 2.6, 3.4, 3.6, 4.4, 4.6} <= scores


@pytest.mark.parametrize("name", TASKS)
def test_texts_keep_to_the_task_and_are_written_once(name: str) -> None:
    task = load_task(name)
    train, valid = read_sample(name)
    texts = [normalized(text) for split in (train, valid) for example in split.examples for text in example.texts]
    assert [text for text in texts if not task.min_chars <= len(text) <= task.max_chars] == []
    assert [text for text, times in Counter(texts).items() if times > 1] == []
    assert not sentences(train) & sentences(valid)


@pytest.mark.parametrize("name", ["marcja", "news", "covid19", "jcm"])
def test_longer_texts_share_no_template(name: str) -> None:
    texts = [normalized(example.texts[0]) for split in read_sample(name) for example in split.examples]
    counts = Counter(gram for text in texts for gram in {text[start : start + 14] for start in range(len(text) - 13)})
    assert [gram for gram, times in counts.items() if times > 1] == []


@pytest.mark.parametrize("name", TASKS)
def test_ids_are_unique_and_it_says_what_it_is(name: str) -> None:
    for split in read_sample(name):
        assert len({example.id for example in split.examples}) == len(split.examples)
        assert split.source == "sample (smoke data)"
        assert split.license == "CC0-1.0"


def real_sentences(name: str) -> set[str]:
    """Of the sets that a sample's task stands beside: a plain sentence of one may stand in a larger set by chance."""
    found = set()
    files = [*MIRROR.glob("JGLUE/*/*.json"), *MIRROR.glob("JCoLA/*/*.json"), *MIRROR.glob("JNLI-Neg/*/*.jsonl")]
    for file in files:
        for line in file.read_text(encoding="utf-8").split("\n"):
            row = json.loads(line) if line else {}
            texts = [row.get(column) for column in ("sentence", "original", "sentence1", "sentence2")]
            found |= {normalized(text["sentence"] if isinstance(text, dict) else text) for text in texts if text}
    for folder, column in [("banking77", "text"), ("commonsense-moral-ja/data", "sent")] if name in ("banking77", "jcm") else []:
        for file in (MIRROR / folder).glob("*.csv"):
            with file.open(encoding="utf-8", newline="") as opened:
                found |= {normalized(row[column]) for row in csv.DictReader(opened)}
    return found


@needs_mirror
@pytest.mark.parametrize("name", TASKS)
def test_no_text_is_from_a_real_data_set(name: str) -> None:
    real = real_sentences(name)
    assert len(real) > 30_000
    for split in read_sample(name):
        assert sentences(split) & real == set()
