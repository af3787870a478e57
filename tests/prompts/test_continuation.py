"""Prompts that a base model continues: where they break off, what they show, and what ends a reply."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.config.llm import Sampling
from japagen.prompts.continuation import continued, headings, reply_of, stops
from japagen.prompts.questions import channel_question, label_question, likelihood_question, question_messages, written_question
from japagen.prompts.replies import clean_reply
from japagen.prompts.writing import Prompting, first_messages, messages
from japagen.prompts.writing import stops as stops_of
from japagen.synthesis.generate import request_of
from japagen.synthesis.stream import Stream
from japagen.tasks import Example, Task
from tests.conftest import load_task

CONTINUES = Prompting(continues=True)
TASKS = {name: load_task(name) for name in ("jcola", "jnli", "jsts", "marcja", "news", "covid19")}
ENGLISH = replace(TASKS["jcola"], language="en")
texts = st.text(st.sampled_from("犬が。、 \n\t:：文章12aText\u3000\u2028"), min_size=1, max_size=30).filter(str.strip)
tasks = st.sampled_from([*TASKS.values(), ENGLISH, replace(TASKS["marcja"], language="de"), replace(TASKS["jnli"], several_lines=True)])


@given(tasks, st.data())
def test_a_prompt_breaks_off_after_its_last_heading_and_shows_each_text_after_one(task: Task, data: st.DataObject) -> None:
    num_texts = data.draw(st.sampled_from([1, 2]))
    entries = data.draw(st.lists(st.tuples(*[texts] * num_texts), max_size=4))
    names = headings(task, num_texts)
    prompt = continued(task, "指示です。", names, entries, data.draw(st.tuples(*[texts] * (num_texts - 1))))
    assert prompt.endswith(f"\n{names[-1]}"), "the next word's token is not split by a space"
    opened = [line for line in prompt.split("\n") if line.startswith(names)]
    assert len(opened) == num_texts * (len(entries) + 1)
    assert [next(name for name in names if line.startswith(name)) for line in opened] == [*names] * (len(entries) + 1)


@given(tasks, texts, st.sampled_from([1, 2]))
def test_a_reply_as_the_exemplars_have_it_ends_at_a_stop_string_with_the_whole_text(task: Task, text: str, num_texts: int) -> None:
    names = headings(task, num_texts)
    written = f"{reply_of(task, names, text)}\n{names[0]}"
    (stop,) = stops(task, names)
    reply = written[: written.index(stop)]
    assert reply.split() == text.split()


def test_headings_are_those_of_the_language() -> None:
    japanese = replace(TASKS["jnli"], language="")
    assert (headings(japanese, 1), headings(TASKS["jnli"], 2)) == (("文章：",), ("文1：", "文2："))
    assert (headings(ENGLISH, 1), headings(ENGLISH, 2)) == (("Text:",), ("Text 1:", "Text 2:"))
    assert continued(ENGLISH, "Write.", headings(ENGLISH, 1), [("A dog.",)]) == "Write.\n\nText: A dog.\nText:"
    assert reply_of(ENGLISH, headings(ENGLISH, 1), "A cat.") == " A cat.", "as an exemplar's text follows its heading"


@pytest.mark.parametrize("language", ["ja", "en"])
def test_a_heading_that_the_llm_writes_again_is_taken_off(language: str) -> None:
    task, text = replace(TASKS["jcola"], language=language), {"ja": "犬が走る。", "en": "A dog runs in the park."}[language]
    for num_texts in (1, 2):
        for name in headings(task, num_texts):
            assert clean_reply(task, f"{name} {text}", "stop") == text


@pytest.mark.parametrize("system_role", [True, False])
def test_a_text_is_asked_for_in_one_turn(system_role: bool) -> None:
    task, prompting = TASKS["jcola"], Prompting(system_role, continues=True)
    label = task.labels[1]
    (turn,) = messages(task, prompting, label, [("犬を\n走る。",), ("猫が\u3000寝るた。",)], phrases=["動物の文です。"])
    opening = f"{task.system}\n{label.instruction}\n動物の文です。"
    assert turn == {"role": "user", "content": f"{opening}\n\n文章：犬を 走る。\n文章：猫が 寝るた。\n文章："}


def test_a_pair_is_asked_for_by_its_second_sentence_s_heading() -> None:
    task = TASKS["jnli"]
    (turn,) = messages(task, CONTINUES, task.labels[0], [("犬が走る。", "動物が走る。")], "猫が寝る。")
    assert turn["content"].endswith("\n\n文1：犬が走る。\n文2：動物が走る。\n文1：猫が寝る。\n文2：")
    assert task.labels[0].instruction in turn["content"]
    (first,) = first_messages(task, CONTINUES, ["犬が走る。", "猫が寝る。"])
    assert first["content"] == f"{task.system}\n{task.first_instruction}\n\n文章：犬が走る。\n文章：猫が寝る。\n文章："
    with pytest.raises(ValueError, match="needs its first sentence"):
        messages(task, CONTINUES, task.labels[0])


def test_texts_of_several_lines_keep_them_and_end_at_the_next_heading() -> None:
    task = TASKS["marcja"]
    (turn,) = messages(task, CONTINUES, task.labels[0], [(" 良い品。\n文章：も良い。\n\n買います。 ",)])
    assert turn["content"].endswith("\n\n文章：良い品。\n 文章：も良い。\n\n買います。\n文章：")
    assert stops_of(task, CONTINUES, 0) == ("\n文章：",)
    assert [stops_of(TASKS["jnli"], CONTINUES, turn) for turn in (0, 1)] == [("\n",), ("\n",)]
    pair = replace(TASKS["jnli"], several_lines=True)
    assert [stops_of(pair, CONTINUES, turn) for turn in (0, 1)] == [("\n文章：",), ("\n文1：",)]
    assert stops_of(task, Prompting(), 0) == ()


def test_stop_strings_reach_the_requests_of_both_turns() -> None:
    for prompting, own in ((CONTINUES, ("\n",)), (Prompting(), ())):
        stream = Stream("key", TASKS["jnli"], prompting, {}, 2, stop=["。", "\n"][: 2 if own else 1])
        name = TASKS["jnli"].label_names[0]
        for ask in (stream.ask("", 0), stream.second_ask(name, 0, "犬が走る。")):
            assert ask.stop == (*own, "。")
            assert request_of(ask, Sampling(), {}).stop == ask.stop


def test_a_question_in_english_breaks_off_after_its_label_s_heading() -> None:
    (turn,) = question_messages(ENGLISH, CONTINUES, ("A cat.",), 0, [Example(("A dog.",), "acceptable")])
    assert turn["content"].endswith(f"\n\nText: A dog.\nLabel: {ENGLISH.labels[0].word}\nText: A cat.\nLabel:")


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("template", range(3))
def test_a_question_is_one_turn_that_breaks_off_before_the_answer(name: str, template: int) -> None:
    task = TASKS[name]
    own, others = ("犬が走る。", "猫が寝る。")[: task.num_turns], ("鳥が飛ぶ。", "馬がいる。")[: task.num_turns]
    label = task.labels[-1]
    exemplar = Example(others, label.name, label.score)
    (turn,) = question_messages(task, CONTINUES, own, template, [exemplar])
    chat = question_messages(task, Prompting(), own, template, [])
    head = "類似度の数：" if task.is_regression else "ラベル："
    word = f"{label.score:g}" if task.is_regression else label.word
    shown = "".join(f"{heading}{text}\n" for heading, text in zip(headings(task, task.num_turns), others, strict=True))
    asked = "".join(f"{heading}{text}\n" for heading, text in zip(headings(task, task.num_turns), own, strict=True))
    assert turn["content"] == f"{chat[0]['content']}\n\n{shown}{head}{word}\n{asked}{head}"
    scored = label_question(task, CONTINUES, own, template, [exemplar])
    assert {chat[0]["content"] for chat in scored.chats} == {turn["content"]}
    assert scored.chats[-1][1]["content"] == word
    assert (scored.stop, written_question(task, CONTINUES, own, template).stop) == ((), ("\n",))
    assert written_question(task, Prompting(), own, template).stop == ()


def test_a_text_is_scored_as_it_would_be_written() -> None:
    task = ENGLISH
    texts_ = ("A dog  runs.",)
    for question in (channel_question(task, CONTINUES, texts_), likelihood_question(task, CONTINUES, Example(texts_, "acceptable"))):
        (asked, reply) = question.chats[0]
        assert asked["content"] == messages(task, CONTINUES, task.labels[0])[0]["content"]
        assert (asked["content"][-6:], reply["content"]) == ("\nText:", " A dog runs.")
    pair = TASKS["jnli"]
    chat = channel_question(pair, CONTINUES, ("犬が走る。", "動物が走る。")).chats[0]
    assert [turn["content"][-len("犬が走る。\n文2：") :] for turn in chat] == ["犬が走る。\n文2：", "動物が走る。"]
