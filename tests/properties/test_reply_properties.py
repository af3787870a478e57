"""Whatever an LLM replies: a text or a label that keeps the task's contract, or a reason by name; never an exception."""

import json
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from japagen.config.llm import Sampling
from japagen.config.schema import Curate
from japagen.curation.contamination import EvaluationTexts, may_be_contained
from japagen.curation.near import NearDuplicates, grams_of, similarity
from japagen.curation.select import Selector
from japagen.errors import ServerError
from japagen.llm.client import (
    COUNT,
    NEXT,
    SCORE,
    TOKENS,
    Client,
    Completion,
    Reply,
    Request,
    _read_retry_after,
)
from japagen.llm.endpoint import Endpoint
from japagen.llm.received import Fault, read_reply
from japagen.prompts.japanese import is_japanese
from japagen.prompts.questions import answer_word, read_answer, read_attributes
from japagen.prompts.replies import FINISHED, REASONS, UNFINISHED, Reading, Reject, clean_reply, judge_reply, normalise
from japagen.prompts.thinking import strip_thinking
from japagen.prompts.verbalized import read_list
from japagen.quality.diversity import diversity, tokenise
from japagen.store.rowsfile import StreamRow
from japagen.tasks import PROBABILITY, Label, Task, check_task
from tests.properties.hostile import HALF, SHIPPED, few, misshapen, raw_texts, scalars, spoilt, texts, tried

OWN = Task(name="own", labels=[Label("a.b", "x", word="*"), Label("(", "x", word="[c]")], language="", system="x", min_chars=1)
"""Label words that a pattern would take for something else."""
TASKS = [*SHIPPED.values(), OWN]
tasks = st.sampled_from(TASKS)
reasons = st.sampled_from(["stop", *UNFINISHED, "", "tool_calls"])


@given(tasks, raw_texts, reasons)
@example(SHIPPED["jnli"], "「「犬が走る。」」", "stop")
def test_a_reply_is_a_text_of_the_task_or_a_known_reason(task: Task, reply: str, finish_reason: str) -> None:
    cleaned = clean_reply(task, reply, finish_reason)
    if isinstance(cleaned, Reject):
        assert cleaned.reason in REASONS
        return
    assert task.min_chars <= len(cleaned) <= task.max_chars
    assert finish_reason == FINISHED
    assert cleaned == " ".join(cleaned.split())
    assert any(character.isalnum() for character in cleaned)
    assert task.language != "ja" or is_japanese(cleaned)
    assert judge_reply(task, cleaned, finish_reason) == Reading(cleaned)


@given(raw_texts)
def test_texts_are_compared_in_a_form_that_is_its_own(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)
    assert normalise(f"\u3000{text}\n") == normalise(text)


_MARKS = [
    "<think>", "</think>", "<reasoning>", "</reasoning>", "[THINK]", "[/THINK]", "<|channel|>analysis<|message|>", "<|end|>",
    "<|start|>assistant<|channel|>final<|message|>", "<|return|>", "assistantfinal", "analysisWe need", "◁think▷", "◁/think▷",
]  # fmt: skip


@given(st.lists(st.one_of(texts, st.sampled_from(_MARKS)), max_size=8).map("".join))
def test_thinking_is_taken_off_once_and_for_all(reply: str) -> None:
    stripped, thought = strip_thinking(reply)
    assert strip_thinking(stripped) == (stripped, False)
    assert thought == (stripped != reply)
    assert thought or not any(mark in reply for mark in _MARKS[:7])
    if not any(mark.lower() in reply.lower() for mark in ("<", "[think", "[/think", "assistantfinal", "analysis", "◁")):
        assert stripped == reply, "a text without thinking is left alone"


@given(st.sampled_from(TASKS), st.data())
def test_every_row_is_accepted_or_counted_once_whatever_it_says(task: Task, data: st.DataObject) -> None:
    num, rows = 6, {}
    openings = [""] if task.is_pair else task.label_names
    for index in range(num):
        for label, turn in [*((one, 0) for one in openings), *((one, 1) for one in task.label_names if task.is_pair)]:
            said = st.one_of(texts, st.sampled_from(["犬が公園の芝生の上を走っています。", "白い猫が屋根の上で眠っていました。"]))
            rows[label, index, turn] = StreamRow(index, label, turn, data.draw(said), data.draw(reasons), 0, 0, 0)
    selector = Selector(task, Curate(), num_per_label=num + 1)
    selector.advance(_Rows(rows))
    assert [selector.num_judged(label) for label in task.label_names] == [num] * len(task.labels)
    assert {reason for label in task.label_names for reason in selector.rejects(label)} <= set(REASONS)
    kept = [(one.label, *map(normalise, one.texts)) for one in selector.accepted]
    assert len(set(kept)) == len(kept)
    assert all(task.min_chars <= len(text) <= task.max_chars for one in selector.accepted for text in one.texts)
    assert all(len(one.texts) == task.num_turns for one in selector.accepted)


class _Rows(dict[tuple[str, int, int], StreamRow]):
    def get(self, label: str, index: int, turn: int) -> StreamRow | None:  # type: ignore[override]
        return super().get((label, index, turn))


@given(raw_texts, reasons, st.integers(1, 5))
def test_a_list_gives_as_many_texts_as_were_asked_for(reply: str, finish_reason: str, num: int) -> None:
    found = read_list(reply, finish_reason, num)
    assert len(found) == num
    assert {one.finish_reason for one in found} <= {"stop", *UNFINISHED}
    for one in found[1:]:
        assert one.finish_reason != "stop" or one.text == one.text.encode(errors="replace").decode() or HALF in reply or "\udcff" in reply
        assert set(one.attributes) <= {PROBABILITY}
        float(one.attributes.get(PROBABILITY, 0))


@example(["犬が走る。"], [10**400], False)
@given(st.lists(texts, min_size=1, max_size=4), st.lists(scalars, min_size=4, max_size=4), st.booleans())
def test_whole_objects_are_found_in_whatever_stands_around_them(listed: list[str], said: list[Any], ascii_only: bool) -> None:
    objects = [{"text": text, "probability": value} for text, value in zip(listed, said, strict=False)]
    reply = "{" + "前置き{}".join(json.dumps(one, ensure_ascii=ascii_only) for one in objects).replace(HALF, "?").replace("\udcff", "?")
    assert [one.text for one in read_list(reply, "stop", len(listed))] == listed


@given(tasks, raw_texts)
def test_an_answer_is_a_label_a_number_on_the_scale_or_none(task: Task, reply: str) -> None:
    found = read_answer(task, reply)
    if task.is_regression:
        assert found is None or min(task.label_scores()) <= float(found) <= max(task.label_scores())
    else:
        assert found is None or found in task.label_names


@given(
    st.data(), st.sampled_from(list(SHIPPED.values())), st.sampled_from(["{}", "{}。", "「{}」", " {}\n", "答え: {}", "**{}**", "1. {}"])
)
def test_a_label_that_is_answered_is_read(data: st.DataObject, task: Task, form: str) -> None:
    label = data.draw(st.sampled_from(task.labels))
    assume(not (task.is_regression and form.startswith("1.")))
    found = read_answer(task, form.format(answer_word(task, label)))
    assert found == (label.score if task.is_regression else label.name)


ATTRIBUTES = [{"name": "ジャンル", "values": ["本", "家電", "服"]}, {"name": "場所", "values": ["駅", "公園"]}]


@example(SHIPPED["jcola"], "[" * 9999 + "]")
@example(SHIPPED["jcola"], '[{"name": "甲", "values": ["乙\\ud83d", "丙"]}]')
@given(st.sampled_from(list(SHIPPED.values())), st.one_of(misshapen(ATTRIBUTES).map(json.dumps), raw_texts))
def test_attributes_that_an_llm_names_can_be_drawn(task: Task, reply: str) -> None:
    found = read_attributes(task, f"次のとおりです。{reply}")
    check_task(Task(**{**vars(task), "attributes": found}))
    json.dumps([[one.name, one.values, one.phrase] for one in found], ensure_ascii=False).encode()


@given(st.lists(texts, max_size=12), st.sampled_from([0.05, 0.5, 0.8, 1.0]))
def test_no_text_is_taken_twice(said: list[str], threshold: float) -> None:
    near = NearDuplicates(threshold)
    taken = [text for text in said if near.takes(text)]
    assert len(set(taken)) == len(taken)
    assert not any(near.takes(text) for text in taken)


@given(st.lists(texts, min_size=1, max_size=5), texts)
def test_evaluation_texts_match_by_the_rule(evaluation: list[str], other: str) -> None:
    known = EvaluationTexts(evaluation)
    assert all(known.matches([(text,) for text in evaluation]))
    assert known.matches([(normalise(text), other) for text in evaluation]) == [True] * len(evaluation)
    assert known.matches([(other,)]) == [any(match(normalise(other), normalise(text)) for text in evaluation)]


def match(first: str, second: str) -> bool:
    """The rule of japagen.curation.contamination, for two texts, written as it is said."""
    grams, others = frozenset(grams_of(first)), frozenset(grams_of(second))
    contained = [len(grams & others) >= 0.8 * len(own) for text, own in ((first, grams), (second, others)) if may_be_contained(text)]
    return first == second or similarity(grams, others) >= 0.8 or any(contained)


CHAT = {
    "choices": [{"index": n, "message": {"content": "犬が走る。"}, "finish_reason": "stop"} for n in (0, 1)],
    "usage": {"prompt_tokens": 9, "completion_tokens": 8},
}


@example(json.dumps({**CHAT, "choices": [{**CHAT["choices"][0], "finish_reason": {}}] * 2}).encode())
@example(b'{"choices": [], "usage": {"prompt_tokens": Infinity}}')
@example(b'{"a":' * 9999)
@given(st.one_of(misshapen(CHAT).map(lambda value: json.dumps(value).encode()), spoilt(json.dumps(CHAT).encode())))
def test_a_servers_answer_is_texts_or_a_fault(content: bytes) -> None:
    found = read_reply(content, 2)
    if isinstance(found, Fault):
        assert found.kind in ("malformed", "passing")
        return
    assert isinstance(found, Reply)
    assert len(found.completions) == 2
    for one in found.completions:
        assert isinstance(one, Completion)
        assert isinstance(one.finish_reason, str)
        one.text.encode()
        one.finish_reason.encode()


ASKED = {
    COUNT: {"count": 3},
    TOKENS: {"tokens": [1, 2]},
    SCORE: {"prompt_logprobs": [None, {"5": {"logprob": -1.5}}, {"6": {"logprob": -0.5}}], "usage": {"prompt_tokens": 3}},
    NEXT: {
        "choices": [{"index": 0, "logprobs": {"top_logprobs": [{"token_id:7": -0.5, "token_id:8": -2.0}]}}],
        "usage": {"prompt_tokens": 3},
    },
}


@given(st.data(), st.sampled_from(sorted(ASKED)))
def test_what_a_server_measures_is_numbers_or_a_fault(data: st.DataObject, kind: str) -> None:
    whole = json.dumps(ASKED[kind]).encode()
    content = data.draw(st.one_of(misshapen(ASKED[kind]).map(lambda value: json.dumps(value).encode()), spoilt(whole)))
    request = Request([], 1, None, Sampling(), kind=kind, prompts=((1, 2),), token_ids=(7, 8))
    found = tried(lambda: Client(Endpoint("http://x/v1"), "m")._read_measure(content, request), ServerError, "http://x/v1")
    if isinstance(found, Reply):
        json.dumps([found.scored_tokens, found.next_logprobs, found.token_ids], allow_nan=False)


EMPTY = {"choices": [{"index": 0, "logprobs": {"top_logprobs": []}}], "usage": {"prompt_tokens": 3}}


@pytest.mark.parametrize(("kind", "content"), [(NEXT, json.dumps(EMPTY).encode()), (COUNT, b"[" * 9999), (COUNT, b'{"count": 1e999}')])
def test_measures_that_once_ended_the_run(kind: str, content: bytes) -> None:
    request = Request([], 1, None, Sampling(), kind=kind, prompts=((1, 2),), token_ids=(7, 8))
    found = Client(Endpoint("http://x/v1"), "m")._read_measure(content, request)
    assert isinstance(found, Fault)


@given(st.one_of(st.none(), raw_texts, st.floats().map(str), st.integers().map(lambda year: f"Mon, 01 Jan {year} 00:00:00 +9959")))
@example("NaN")
@example("Mon, 01 Jan -2399999997561 00:00:00 +9959")
def test_any_retry_after_is_some_seconds(value: str | None) -> None:
    assert 0 <= _read_retry_after(value) <= 3600


@few(10)
@given(st.lists(texts, max_size=8), st.lists(texts, max_size=8))
def test_diversity_of_any_texts_is_in_its_range(said: list[str], gold: list[str]) -> None:
    found = diversity(said, gold)
    for measured in (found["own"], *(found["equal_size"] or {}).values()):
        for name in ("once_share", "segment_ttr", "distinct_1", "distinct_2", "distinct_3", "self_bleu_4"):
            assert measured[name] is None or 0 <= measured[name] <= 1 + 1e-9
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("piece", ["犬", "a", " ", "1.", "文:", "[", "{"])
def test_a_megabyte_of_anything_is_read(piece: str) -> None:
    """What takes time by the square of a text's length would never end here, and MeCab ends the process at half a million characters."""
    reply = piece * (1_000_000 // len(piece))
    for task in (SHIPPED["jnli"], SHIPPED["jsts"]):
        assert isinstance(clean_reply(task, reply, "stop"), Reject)
        read_answer(task, reply)
        read_attributes(task, reply)
    assert len(read_list(f"1. 犬({reply[:100_000]}x", "stop", 3)) == 3
    assert len(tokenise([reply if piece == "犬" else reply[:100_000]])) == 1
