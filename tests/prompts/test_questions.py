"""Questions: what is asked, in which order exemplars stand, and which label a reply names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.config.schema import NUM_TEMPLATES
from japagen.prompts.questions import (
    answer_word,
    attribute_questions,
    balanced_order,
    channel_question,
    label_question,
    likelihood_question,
    question_messages,
    read_answer,
    read_attributes,
    written_question,
)
from japagen.prompts.scaffold import ENGLISH, JAPANESE
from japagen.prompts.writing import Prompting
from japagen.tasks import Example
from tests.conftest import load_task

TASKS = ("jsts", "jnli", "jcola", "marcja", "news", "covid19", "jcm")
PLAIN, KNOWING = Prompting(), Prompting(knowledge=True)


def texts_of(name: str) -> tuple[str, ...]:
    return ("犬が走っている。", "動物が走っている。")[: load_task(name).num_turns]


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("template", range(NUM_TEMPLATES))
def test_every_label_is_named_and_the_text_stands_last(name: str, template: int) -> None:
    task = load_task(name)
    system, user = question_messages(task, PLAIN, texts_of(name), template, [])
    assert all(answer_word(task, label) in system["content"] for label in task.labels)
    assert all(text in user["content"] and text not in system["content"] for text in texts_of(name))


@pytest.mark.parametrize("name", TASKS)
def test_the_chats_of_a_question_differ_in_the_answer_only(name: str) -> None:
    task = load_task(name)
    question = label_question(task, PLAIN, texts_of(name), 0)
    assert len({chat[:-1] and str(chat[:-1]) for chat in question.chats}) == 1
    assert [chat[-1]["content"] for chat in question.chats] == [answer_word(task, label) for label in task.labels]


def test_the_three_templates_differ() -> None:
    assert len(JAPANESE.templates) == len(ENGLISH.templates) == NUM_TEMPLATES
    task = load_task("jcola")
    asked = [str(question_messages(task, PLAIN, ("文。",), template, [])) for template in range(3)]
    assert len(set(asked)) == 3


def test_knowledge_is_that_of_the_synthesis_prompt() -> None:
    news, jnli = load_task("news"), load_task("jnli")
    plain, knowing = (question_messages(news, prompting, ("記事",), 0, [])[0]["content"] for prompting in (PLAIN, KNOWING))
    assert "スポーツの選手と試合" in knowing
    assert "スポーツの選手と試合" not in plain
    told = question_messages(jnli, KNOWING, ("甲。", "乙。"), 0, [])[0]["content"]
    assert all(value in told for value in jnli.attributes[0].values)


def test_a_task_without_a_question_quotes_its_instructions() -> None:
    task = load_task("marcja")
    task.question = ""
    assert task.labels[0].instruction in question_messages(task, PLAIN, ("良い品。",), 0, [])[0]["content"]


def test_without_a_system_role_the_task_opens_the_first_turn() -> None:
    task = load_task("jcola")
    shown = [Example(("良い文。",), "acceptable")]
    turns = question_messages(task, Prompting(system_role=False), ("文。",), 0, shown)
    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert turns[0]["content"].startswith("あなたは")


def test_exemplars_are_turns_with_their_answers() -> None:
    task = load_task("jsts")
    turns = question_messages(task, PLAIN, ("甲。", "乙。"), 0, [Example(("丙。", "丁。"), "4", 3.8)])
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant", "user"]
    assert turns[2]["content"] == "4"


def test_channel_asks_with_the_words_of_synthesis() -> None:
    task = load_task("jnli")
    question = channel_question(task, PLAIN, ("甲である。", "乙である。"))
    assert [[turn["role"] for turn in chat] for chat in question.chats] == [["system", "user", "assistant", "user", "assistant"]] * 3
    assert [chat[3]["content"] for chat in question.chats] == [label.instruction for label in task.labels]
    assert {(chat[2]["content"], chat[4]["content"]) for chat in question.chats} == {("甲である。", "乙である。")}
    own = likelihood_question(task, PLAIN, Example(("甲である。", "乙である。"), "neutral", id="neutral/7"))
    assert (own.id, own.chats) == ("neutral/7", (question.chats[2],))


@given(st.integers(0, 50), st.integers(1, 4))
def test_exemplars_come_in_rounds_of_all_labels(seed: int, shots: int) -> None:
    task = load_task("jnli")
    exemplars = {name: [Example((f"{name}{place}", "x"), name) for place in range(shots)] for name in task.label_names}
    ordered = balanced_order(task, exemplars, seed)
    assert sorted(ordered, key=str) == sorted((example for rows in exemplars.values() for example in rows), key=str)
    for start in range(0, len(ordered), 3):
        assert {example.label for example in ordered[start : start + 3]} == set(task.label_names)
    assert ordered == balanced_order(task, exemplars, seed)


def test_the_order_of_exemplars_varies_with_the_seed() -> None:
    task = load_task("jnli")
    exemplars = {name: [Example((f"{name}{place}", "x"), name) for place in range(3)] for name in task.label_names}
    assert len({str(balanced_order(task, exemplars, seed)) for seed in range(10)}) > 5


@pytest.mark.parametrize(
    ("name", "reply", "label"),
    [
        ("jcola", "容認できない", "unacceptable"),
        ("jcola", "容認できる。", "acceptable"),
        ("jcola", "この文は容認できないと思います", "unacceptable"),
        ("jcola", "容認できるとも容認できないとも言える", None),
        ("jcola", "わかりません", None),
        ("jcola", "", None),
        ("jcola", "unacceptable", "unacceptable"),
        ("jnli", "答え:「含意」", "entailment"),
        ("jsts", "3", 3.0),
        ("jsts", "類似度は2.5です。", 2.5),
        ("jsts", "５", 5.0),
        ("jsts", "7", None),
        ("jsts", "0から5で言えば3", None),
        ("jsts", "似ています", None),
    ],
)
def test_what_a_reply_says(name: str, reply: str, label: str | float | None) -> None:
    assert read_answer(load_task(name), reply) == label


def test_a_forced_answer_is_one_of_the_labels_words() -> None:
    task = load_task("covid19")
    assert written_question(task, PLAIN, ("文。",), 0, forced=True).structure == {
        "choice": ["一般的な事実", "個人の事実", "意見", "無関係"]
    }
    assert written_question(task, PLAIN, ("文。",), 0).structure is None


def test_attributes_are_asked_for_and_read() -> None:
    task = load_task("marcja")
    questions = attribute_questions(task, system_role=True)
    assert len({str(question.chats) for question in questions}) == 3
    assert [turn["role"] for turn in attribute_questions(task, system_role=False)[0].chats[0]] == ["user"]
    reply = '```[{"name": "ジャンル", "values": ["本", "本", "家電", "肯定的", ""]}, {"name": "一つ", "values": ["甲"]}]```'
    (found,) = read_attributes(task, reply)
    assert (found.name, found.values, found.phrase) == ("ジャンル", ["本", "家電"], "ジャンルは「{value}」です。")


@pytest.mark.parametrize(
    "reply", ["", "本と家電", "[", '{"name": 1}', "[1, 2]", '[{"name": "甲"}]', '[{"name": "甲", "values": "本"}]', "[[]]"]
)
def test_replies_that_name_no_attributes(reply: str) -> None:
    assert read_attributes(load_task("marcja"), reply) == []
