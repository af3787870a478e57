"""Prompts: what prompt=kadg adds for each task, and that prompt=base is untouched by it."""

from collections import Counter
from dataclasses import replace

import pytest

from japagen.errors import ConfigError
from japagen.prompts import Prompting, messages
from japagen.synthesis.generate import rows_of
from japagen.synthesis.stream import Stream
from japagen.tasks import Attribute, check_task
from tests.conftest import Compose, load_task

TASKS = ("marcja", "jsts", "jnli", "jcola", "news", "covid19")
VALUES = {"marcja": 11, "jsts": 9, "jnli": 9, "jcola": 8, "covid19": 6}
"""Values of each task's attribute, as in the paper's design; news has described labels instead."""


def kadg(name: str, texts_per_request: int = 4) -> Stream:
    return Stream("key", load_task(name), Prompting(knowledge=True), {}, texts_per_request)


@pytest.mark.parametrize("name", TASKS)
def test_the_attributes_are_those_of_the_paper_s_design(name: str) -> None:
    task = load_task(name)
    assert [len(attribute.values) for attribute in task.attributes] == ([VALUES[name]] if name in VALUES else [])
    assert all(bool(label.described) == (name == "news") for label in task.labels)


@pytest.mark.parametrize("name", sorted(VALUES))
def test_values_are_drawn_evenly_and_stand_in_the_prompt(name: str) -> None:
    stream = kadg(name)
    attribute = stream.task.attributes[0]
    label = "" if stream.task.is_pair else stream.task.labels[0].name
    asks = [stream.ask(label, 4 * request) for request in range(3 * len(attribute.values))]
    assert Counter(ask.attributes[attribute.name] for ask in asks) == dict.fromkeys(attribute.values, 3)
    for ask in asks:
        assert ask.messages[-1]["content"].endswith("\n" + attribute.phrase.replace("{value}", ask.attributes[attribute.name]))
    assert [ask.attributes for ask in asks] == [kadg(name).ask(label, 4 * request).attributes for request in range(len(asks))]


def test_the_order_of_values_is_the_seed_s() -> None:
    task = load_task("marcja")
    orders = [
        [Stream(key, task, Prompting(knowledge=True), {}, 1).ask("positive", i).attributes["genre"] for i in range(11)]
        for key in ("a", "b")
    ]
    assert orders[0] != orders[1]


def test_a_pair_s_second_turn_repeats_the_first_one_s_request() -> None:
    stream = kadg("jnli")
    opening = stream.ask("", 6)
    for label in stream.task.labels:
        second = stream.second_ask(label.name, 6, "犬が走る。")
        assert second.messages[:2] == opening.messages
        assert second.attributes == opening.attributes


def test_unrelated_tweets_have_no_topic() -> None:
    stream = kadg("covid19")
    assert stream.ask("unrelated", 0).attributes == {}
    assert stream.ask("fact", 0).attributes.keys() == {"topic"}


def test_news_labels_are_described_instead_of_named() -> None:
    task = load_task("news")
    for label in task.labels:
        base, described = (messages(task, Prompting(knowledge=k), label)[-1]["content"] for k in (False, True))
        assert label.word in base
        assert all(other.word not in described for other in task.labels)


@pytest.mark.parametrize("name", TASKS)
def test_base_draws_nothing(name: str) -> None:
    stream = Stream("key", load_task(name), Prompting(), {}, 4)
    ask = stream.ask("" if stream.task.is_pair else stream.task.labels[0].name, 0)
    assert ask.attributes == {}
    assert all(attribute.name not in message["content"] for attribute in stream.task.attributes for message in ask.messages)


def test_rows_record_what_was_drawn() -> None:
    from japagen.llm.client import Completion, Reply

    ask = kadg("marcja").ask("negative", 8)
    rows = rows_of(ask, Reply(tuple(Completion("すぐに壊れました。", "stop") for _ in range(4)), 10, 40))
    assert [row.attributes for row in rows] == [ask.attributes] * 4


def test_kadg_needs_knowledge(composed: Compose) -> None:
    with pytest.raises(ConfigError, match="prompt=kadg needs the task's knowledge, and task 'jnli' names none"):
        composed("prompt=kadg", "task.attributes=[]")


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        (Attribute("genre", ["本"], "「{value}」です。"), "attributes.genre.values must be two or more different values"),
        (Attribute("genre", ["本", "本"], "「{value}」です。"), "must be two or more different values"),
        (Attribute("genre", ["本", "傘"], "本です。"), "must hold {value}"),
        (Attribute("genre", ["本", "傘"], "「{value}」です。", ["positiv"]), "did you mean 'positive'"),
    ],
)
def test_attributes_are_checked(attribute: Attribute, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_task(replace(load_task("marcja"), attributes=[attribute]))
