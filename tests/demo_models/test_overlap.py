"""Nothing that the demo models learn from may occur in an evaluation split. Needs the data sets' files."""

import random
import unicodedata
from collections.abc import Iterable
from itertools import islice

import fugashi
import pytest

from demo_models.build import CONF, tokenizer_texts
from demo_models.chats import RowDraws, chat_stream, load_tasks
from demo_models.corpus import (
    EVALUATION_FILES,
    JSTS_TRAIN,
    Corpus,
    load_corpus,
    read_rows,
    row_texts,
    split_caption_id,
)
from demo_models.texts import text_stream
from japagen.config.schema import Data
from japagen.gold import read_eval
from tests.conftest import MIRROR, needs_mirror

pytestmark = needs_mirror


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return load_corpus(MIRROR)


@pytest.fixture(scope="module")
def evaluation_texts() -> set[str]:
    """Every sentence of every evaluation split, NFKC; read here anew, without the code under test's normalisation."""
    return {nfkc(text) for path in EVALUATION_FILES for row in read_rows(MIRROR / path) for text in row_texts(row)}


def nfkc(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip()


def shared(texts: Iterable[str], evaluation_texts: set[str]) -> list[str]:
    return sorted({text for text in texts if nfkc(text) in evaluation_texts})


def test_evaluation_files_are_all_read(evaluation_texts: set[str]) -> None:
    assert len(EVALUATION_FILES) == 9
    assert len(evaluation_texts) > 10_000


def test_corpus_shares_no_text_with_evaluation(corpus: Corpus, evaluation_texts: set[str]) -> None:
    assert shared(corpus.sentences(), evaluation_texts) == []


def test_every_source_keeps_most_rows(corpus: Corpus) -> None:
    for name, (kept, read) in corpus.counts.items():
        assert 0.7 * read < kept <= read, name


def test_the_rule_had_something_to_drop(evaluation_texts: set[str]) -> None:
    assert shared((text for row in read_rows(MIRROR / JSTS_TRAIN) for text in row_texts(row)), evaluation_texts)


def test_kept_captions_show_no_evaluation_image(corpus: Corpus) -> None:
    images = set()
    for path in EVALUATION_FILES[:4]:
        for row in read_rows(MIRROR / path):
            images |= split_caption_id(row["yjcaptions_id"])[0]
    ids = {(row["sentence1"], row["sentence2"]): row["yjcaptions_id"] for row in read_rows(MIRROR / JSTS_TRAIN)}
    for pair in corpus.jsts:
        assert images.isdisjoint(split_caption_id(ids[pair.first, pair.second])[0])


def test_training_streams_share_no_text_with_evaluation(corpus: Corpus, evaluation_texts: set[str]) -> None:
    tasks = load_tasks(CONF)
    chats = islice(chat_stream(corpus, tasks, seed=20), 20_000)
    replies = (message["content"] for chat in chats for message in chat if message["role"] == "assistant")
    assert shared(replies, evaluation_texts) == []
    texts = islice(text_stream(corpus, tasks, seed=20), 20_000)
    assert shared((text for passage in texts for text in passage.texts), evaluation_texts) == []


def test_tokenizer_texts_share_no_text_with_evaluation(corpus: Corpus, evaluation_texts: set[str]) -> None:
    assert shared(tokenizer_texts(corpus, load_tasks(CONF), seed=20), evaluation_texts) == []


def test_streams_are_deterministic_under_a_seed(corpus: Corpus) -> None:
    tasks = load_tasks(CONF)
    first, again, other = (list(islice(chat_stream(corpus, tasks, seed), 200)) for seed in (3, 3, 4))
    assert first == again
    assert first != other
    assert list(islice(text_stream(corpus, tasks, 3), 200)) == list(islice(text_stream(corpus, tasks, 3), 200))


def test_chats_fit_the_tasks(corpus: Corpus) -> None:
    tasks = load_tasks(CONF)
    for chat in islice(chat_stream(corpus, tasks, seed=5), 2_000):
        task = next(task for task in tasks.values() if task.system == chat[0]["content"])
        replies = [message["content"] for message in chat if message["role"] == "assistant"]
        assert all(task.min_chars <= len(reply) <= task.max_chars for reply in replies)
        assert len(set(replies[-task.num_turns :])) == min(task.num_turns, len(replies))


SHARED_5GRAMS = {"jsts": 0.2, "jnli": 0.2, "jcola": 0.2, "marcja": 0.06, "covid19": 0.05, "news": 0.05, "jcm": 0.2}
"""Largest share of the smoke sample's runs of five words that may occur in what built the demo models.

Everyday sentences share phrases (…に人が並んでいます。), of which there are 65,000 behind the first three tasks."""


@pytest.mark.slow
def test_the_smoke_sample_was_written_apart_from_what_built_the_models(corpus: Corpus) -> None:
    tasks, rng, words = load_tasks(CONF), random.Random(0), fugashi.Tagger()
    rows, texts = RowDraws(corpus, tasks), set(corpus.sentences())
    for task in tasks.values():
        texts |= {
            text for label in task.labels for _ in range(3000 // len(task.labels)) for text in rows.draw(task.name, label.name, rng).texts
        }

    def grams(text: str) -> set[tuple[str, ...]]:
        surfaces = [word.surface for word in words(text)]
        return set(zip(*(surfaces[start:] for start in range(5)), strict=False))

    built = {gram for text in texts for gram in grams(text)}
    found = {}
    for name, task in tasks.items():
        split = read_eval(task, Data())
        assert split is not None
        scored = [gram for example in split.examples for text in example.texts for gram in grams(text)]
        found[name] = sum(gram in built for gram in scored) / len(scored)
    assert {name: share for name, share in found.items() if share > SHARED_5GRAMS[name]} == {}
