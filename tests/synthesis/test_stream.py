"""A stream is a function of its key: what is asked for at an index never depends on anything else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.prompts.writing import Prompting
from japagen.synthesis.stream import Stream
from japagen.tasks import Example
from tests.conftest import Compose

EXEMPLARS = {
    label: tuple(Example((f"{label}の前提{i}。", f"{label}の仮説{i}。"), label) for i in range(3))
    for label in ("entailment", "contradiction", "neutral")
}


@pytest.fixture
def stream(composed: Compose) -> Stream:
    return Stream("key", composed().task, Prompting(), EXEMPLARS, 8)


@given(index=st.integers(0, 10_000))
def test_a_request_carries_its_index_and_is_the_same_for_all_its_rows(composed: Compose, index: int) -> None:
    stream = Stream("key", composed().task, Prompting(), EXEMPLARS, 8)
    ask = stream.ask("", index)
    assert ("", index, 0) in ask.positions
    assert ask == stream.ask("", index - index % 8)


@given(st.lists(st.tuples(st.sampled_from(["", "entailment", "neutral"]), st.integers(0, 500)), unique=True, min_size=2))
def test_no_two_rows_of_a_label_share_a_seed(composed: Compose, positions: list[tuple[str, int]]) -> None:
    stream = Stream("key", composed().task, Prompting(), EXEMPLARS, 8)
    seeds = {}
    for label, index in positions:
        ask = stream.second_ask(label, index, "犬が走る。") if label else stream.ask(label, index)
        seeds[label, index] = ask.seed + index - ask.index
    assert len(set(seeds.values())) == len(seeds)


def test_another_key_gives_other_seeds_and_orders(composed: Compose) -> None:
    one, other = (Stream(key, composed().task, Prompting(), EXEMPLARS, 1) for key in ("a", "b"))
    assert one.ask("", 0).seed != other.ask("", 0).seed
    assert [one.ask("", i).messages for i in range(9)] != [other.ask("", i).messages for i in range(9)]


def test_the_first_turn_is_the_same_for_every_label_and_gives_none_away(stream: Stream) -> None:
    bare = Stream("key", stream.task, Prompting(), {}, 8)
    opening = bare.ask("", 5).messages
    for label in stream.task.labels:
        second = bare.second_ask(label.name, 5, "犬が走る。").messages
        assert second[: len(opening)] == opening
        assert second[-2] == {"role": "assistant", "content": "犬が走る。"}
        assert label.instruction in second[-1]["content"]
    shown = [message["content"] for message in stream.ask("", 5).messages]
    assert not any(label.instruction in content for content in shown for label in stream.task.labels)
    assert all(example.texts[0] in shown and example.texts[1] not in shown for examples in EXEMPLARS.values() for example in examples)


def test_the_second_turn_shows_its_labels_pairs_only(stream: Stream) -> None:
    shown = [message["content"] for message in stream.second_ask("neutral", 0, "犬が走る。").messages]
    assert all(text in shown for example in EXEMPLARS["neutral"] for text in example.texts)
    assert not any(text in shown for example in EXEMPLARS["entailment"] for text in example.texts)


def test_the_order_of_exemplars_varies_and_the_set_does_not(stream: Stream) -> None:
    chats = [[message["content"] for message in stream.second_ask("neutral", i, "犬が走る。").messages] for i in range(20)]
    assert len({tuple(chat) for chat in chats}) > 1
    assert len({tuple(sorted(chat)) for chat in chats}) == 1


def test_without_a_system_role_its_text_opens_the_first_turn(composed: Compose) -> None:
    stream = Stream("key", composed().task, Prompting(system_role=False), {}, 8)
    first = stream.ask("", 0).messages[0]
    assert first["role"] == "user"
    assert first["content"].startswith(stream.task.system)
