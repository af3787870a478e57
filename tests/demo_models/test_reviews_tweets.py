"""The grammars of reviews and tweets: lengths, determinism, variety, and agreement with the tasks' YAML."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from demo_models import reviews, tweets

Writer = Callable[[str, str | None, random.Random], str]
CASES: dict[str, tuple[Writer, int, int]] = {"marcja": (reviews.review, 15, 120), "covid19": (tweets.tweet, 12, 95)}
TASKS = {name: OmegaConf.load(Path(__file__).parents[2] / "conf" / "task" / f"{name}.yaml") for name in CASES}
LABELS = [(name, label.name) for name, task in TASKS.items() for label in task.labels]


def values(name: str) -> list[str]:
    return list(TASKS[name].attributes[0]["values"])


@pytest.mark.parametrize(("name", "label"), LABELS)
def test_every_value_gives_texts_within_the_limits(name: str, label: str) -> None:
    write, shortest, longest = CASES[name]
    for value in [*values(name), None]:
        for seed in range(40):
            text = write(label, value, random.Random(seed))
            assert shortest <= len(text) <= longest, text
            assert not set(text) & set("{}＠|/\n"), text
            assert text == text.strip()


@pytest.mark.parametrize(("name", "label"), LABELS)
def test_the_same_seed_gives_the_same_texts(name: str, label: str) -> None:
    write = CASES[name][0]
    first, second = ([write(label, None, rng) for _ in range(20)] for rng in (random.Random(3), random.Random(3)))
    assert first == second


@pytest.mark.parametrize(("name", "label"), LABELS)
def test_texts_rarely_repeat(name: str, label: str) -> None:
    rng = random.Random(0)
    assert len({CASES[name][0](label, None, rng) for _ in range(2000)}) >= 1800


def test_tables_hold_the_tasks_values() -> None:
    assert [*reviews.genres()] == values("marcja")
    assert list(tweets.TOPICS) == values("covid19")


@pytest.mark.parametrize("name", CASES)
def test_an_unknown_label_or_value_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="neutral"):
        CASES[name][0]("neutral", None, random.Random(0))
    with pytest.raises(KeyError):
        CASES[name][0](TASKS[name].labels[0].name, "園芸", random.Random(0))


def test_an_unrelated_tweet_has_no_topic() -> None:
    assert tweets.tweet("unrelated", "ワクチン", random.Random(5)) == tweets.tweet("unrelated", "検査と医療", random.Random(5))


@pytest.mark.parametrize("label", reviews.LABELS)
def test_the_lexicon_is_broad(label: str) -> None:
    said = set()
    for name, genre in reviews.genres().items():
        assert sum(len(kind.nouns) for kind in genre.kinds) >= 15, name
        said |= {*genre.common[label], *reviews.verdicts(label, name)}.union(*(kind.clauses[label] for kind in genre.kinds))
    assert len(said) >= 500


@pytest.mark.parametrize(
    ("plain", "expected"),
    [
        ("最高だ", "最高です"),
        ("悪くない", "悪くないです"),
        ("損した", "損しました"),
        ("一気に読んだ", "一気に読みました"),
        ("夢中になった", "夢中になりました"),
        ("まとめて買った", "まとめて買いました"),
        ("音がこもる", "音がこもります"),
        ("すぐ切れる", "すぐ切れます"),
        ("期待以上だった", "期待以上でした"),
        ("買ってよかった", "買ってよかったです"),
        ("毎日使っている", "毎日使っています"),
        ("五分で飽きた", "五分で飽きました"),
        ("眠ってしまった", "眠ってしまいました"),
    ],
)
def test_polite(plain: str, expected: str) -> None:
    assert reviews.polite(plain) == expected


def test_join() -> None:
    assert reviews.join("雑だ", "ので、") == "雑なので、"
    assert reviews.join("雑だ", "し、") == "雑だし、"
    assert reviews.join("一気に読んだ", "し、") == "一気に読んだし、"
