"""Articles of our own grammar: every category of `task=news` gives varied texts of the right form, and never names its site."""

import random
import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from demo_models.article_words import COMMON, TOPICS
from demo_models.articles import MAX_CHARS, MIN_CHARS, SLOT, article

NEWS = OmegaConf.load(Path(__file__).parents[2] / "conf" / "task" / "news.yaml")
LABELS = [label.name for label in NEWS.labels]
SITES = [label.word for label in NEWS.labels] + LABELS + ["S-MAX", "ITライフハック", "livedoor", "http"]


def draws(label: str, count: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    return [article(label, rng) for _ in range(count)]


def test_topics_are_the_labels_of_the_task() -> None:
    assert sorted(TOPICS) == sorted(LABELS)


@pytest.mark.parametrize("label", LABELS)
def test_articles_are_a_headline_and_a_body_within_the_limits_and_rarely_repeat(label: str) -> None:
    texts = draws(label, 1000)
    assert all(MIN_CHARS <= len(text) <= MAX_CHARS for text in texts)
    assert all(re.fullmatch(r"[^\n{}]{6,}? [^\n{}]{10,}[。？！]", text) and text == text.strip() and "  " not in text for text in texts)
    assert len(set(texts)) >= 950


@pytest.mark.parametrize("label", LABELS)
def test_articles_never_name_a_site(label: str) -> None:
    assert [text for text in draws(label, 200, seed=1) for site in SITES if site.casefold() in text.casefold()] == []


@pytest.mark.parametrize("label", LABELS)
def test_every_slot_has_words_and_every_table_a_slot(label: str) -> None:
    topic = TOPICS[label]
    for desk in topic.desks:
        words = topic.words | desk.words
        frames = [*desk.headlines, *desk.openings, *desk.more]
        assert {slot[1] for text in [*frames, *sum(words.values(), ())] for slot in SLOT.finditer(text)} <= words.keys() | COMMON.keys()
        assert len(frames) == len(set(frames))
        assert min(len(desk.openings), len(desk.more)) >= 3


@pytest.mark.parametrize("label", LABELS)
def test_same_seed_gives_the_same_articles(label: str) -> None:
    assert draws(label, 20, seed=7) == draws(label, 20, seed=7) != draws(label, 20, seed=8)


def test_unknown_label_is_refused_by_name() -> None:
    with pytest.raises(KeyError, match="weather"):
        article("weather", random.Random(0))
