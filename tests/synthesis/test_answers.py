"""Answers: probabilities of whole labels, texts' log-probabilities, and rows that are asked for once."""

import asyncio
import gc
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.errors import ServerError
from japagen.llm.client import WRITE, Request
from japagen.prompts.questions import (
    Question,
    channel_question,
    label_question,
    likelihood_question,
    written_question,
)
from japagen.prompts.writing import Message, Prompting
from japagen.store.rowsfile import StreamRows
from japagen.synthesis.answers import Answer, answer_all
from japagen.synthesis.generate import StreamProgress
from japagen.tasks import Example
from tests.conftest import load_task
from tests.stubs.stub_llm_answers import AnsweringClient

TASK = load_task("jcola")


def ask(folder: Path, client: AnsweringClient, *questions: Question) -> dict[str, Answer]:
    folder.mkdir(exist_ok=True)
    rows = StreamRows(folder, Answer)
    seen: list[StreamProgress] = []
    asyncio.run(answer_all(questions, rows, client, {}, 16, seen.append))  # type: ignore[arg-type]
    assert seen[-1].accepted == len(questions)
    return {answer.id: answer for answer in StreamRows(folder, Answer)}  # type: ignore[misc,attr-defined]


def test_the_probability_of_a_label_is_that_of_its_whole_word(tmp_path: Path) -> None:
    """'容認できる' and '容認できない' share their first tokens; what follows decides."""

    def rule(prompt: list[Message], said: str) -> float:
        return -0.1 if said == "容認できない" else -2.0

    (answer,) = ask(tmp_path, AnsweringClient(rule), label_question(TASK, Prompting(), ("文。",), 0, id="0")).values()
    acceptable, unacceptable = answer.probabilities() or ()
    assert (answer.logprobs, answer.num_tokens) == (pytest.approx([-2.0 * 2, -0.1 * 3]), [2, 3]), (
        "from where the words part, the end with it"
    )
    assert unacceptable == pytest.approx(math.exp(-0.3) / (math.exp(-0.3) + math.exp(-4)))
    assert acceptable + unacceptable == pytest.approx(1)


def test_written_answers_end_at_the_question_s_and_the_llm_s_stop_strings(tmp_path: Path) -> None:
    client = AnsweringClient(lambda prompt, said: 0.0)
    tmp_path.joinpath("rows").mkdir()
    questions = [written_question(TASK, Prompting(continues=continues), ("文。",), 0, id=str(continues)) for continues in (True, False)]
    scored = label_question(TASK, Prompting(), ("文。",), 0, id="scored")
    rows = StreamRows(tmp_path / "rows", Answer)
    asyncio.run(answer_all([*questions, scored], rows, client, {}, 16, lambda progress: None, ("。", "\n")))  # type: ignore[arg-type]
    assert sorted(request.stop for request in client.requests if request.kind == WRITE) == [("\n", "。"), ("。", "\n")]
    assert {request.stop for request in client.requests if request.kind != WRITE} == {()}


def test_many_labels_take_several_requests(tmp_path: Path) -> None:
    """A request names 128 tokens at most; here 300 labels begin with a token of their own, and all have one more."""
    asked: Message = {"role": "user", "content": "?"}
    chats = tuple((asked, Message(role="assistant", content=f"{chr(0x4E00 + index)}{chr(0x5E00 + index)}")) for index in range(300))
    client = AnsweringClient(lambda prompt, said: -ord(said[0]) / 1e4)
    (answer,) = ask(tmp_path, client, Question("0", chats)).values()
    assert answer.logprobs == pytest.approx([-3 * (0x4E00 + index) / 1e4 for index in range(300)])
    asked_next = [request for request in client.requests if request.kind == "next"]
    assert len(asked_next) == 5
    assert max(len(request.token_ids) for request in asked_next) <= 128


def test_channel_scores_the_text_alone(tmp_path: Path) -> None:
    def rule(prompt: list[Message], said: str) -> float:
        return -0.2 if "誤り" in prompt[-1]["content"] else -0.7

    client = AnsweringClient(rule)
    texts = ("文である。", "次の文。")
    found = ask(tmp_path, client, *(channel_question(TASK, Prompting(), (text,), id=str(index)) for index, text in enumerate(texts)))
    assert found["0"].logprobs == pytest.approx([-0.7 * 6, -0.2 * 6])
    assert found["1"].num_tokens == [5, 5]
    assert sum(request.kind == "count" for request in client.requests) == 2, "each label's request is measured once"


def test_a_texts_mean_log_probability(tmp_path: Path) -> None:
    question = likelihood_question(TASK, Prompting(), Example(("文である。",), "acceptable", id="acceptable/3"))
    found = ask(tmp_path, AnsweringClient(lambda prompt, said: -0.4), question)
    assert found["acceptable/3"].mean_logprob == pytest.approx(-0.4)


def test_written_answers_are_greedy_and_may_be_forced(tmp_path: Path) -> None:
    client = AnsweringClient(write=lambda request: "容認できる")
    questions = [written_question(TASK, Prompting(), ("文。",), 0, forced=forced, id=str(forced)) for forced in (True, False)]
    found = ask(tmp_path, client, *questions)
    assert found["True"].text == "容認できる"
    assert [request.structured_outputs for request in client.requests] == [{"choice": ["容認できる", "容認できない"]}, None]
    assert {(request.sampling.temperature, request.sampling.max_tokens) for request in client.requests} == {(0.0, 16)}


def test_only_what_is_missing_is_asked(tmp_path: Path) -> None:
    questions = [label_question(TASK, Prompting(), (f"文{index}。",), 0, id=str(index)) for index in range(5)]
    ask(tmp_path, AnsweringClient(), *questions[:3])
    client = AnsweringClient()
    assert len(ask(tmp_path, client, *questions)) == 5
    assert len(client.requests) == 2 * (len(TASK.labels) + 1), "each chat's tokens, and what follows what they share"


def test_a_failed_question_is_a_row_without_an_answer(tmp_path: Path) -> None:
    client = AnsweringClient()
    client.broken = {2}
    found = ask(tmp_path, client, *(label_question(TASK, Prompting(), (f"文{index}。",), 0, id=str(index)) for index in range(3)))
    failed = [answer for answer in found.values() if answer.finish_reason == "error"]
    assert len(failed) == 1
    assert failed[0].probabilities() is None
    assert failed[0].mean_logprob is None


def test_what_came_beside_a_fault_is_kept_and_every_fault_is_taken(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def write(request: Request) -> str:
        if "文7" in str(request.messages) or "文8" in str(request.messages):
            raise ServerError("gone")
        return "容認できる"

    questions = [written_question(TASK, Prompting(), (f"文{index}。",), 0, forced=False, id=str(index)) for index in range(9)]
    with pytest.raises(ServerError, match="gone"):
        ask(tmp_path, AnsweringClient(write=write), *questions)
    gc.collect()
    assert {answer.id for answer in StreamRows(tmp_path, Answer)} == {str(index) for index in range(7)}
    assert "never retrieved" not in caplog.text


@given(st.lists(st.floats(-500, 0), min_size=2, max_size=6))
def test_probabilities_sum_to_one_and_calibration_undoes_a_bias(logprobs: list[float]) -> None:
    answer = Answer("0", logprobs=logprobs, num_tokens=[1] * len(logprobs))
    probs = answer.probabilities() or ()
    assert sum(probs) == pytest.approx(1)
    assert answer.probabilities(logprobs) == pytest.approx((1 / len(logprobs),) * len(logprobs))


def test_77_labels_whose_words_share_beginnings(tmp_path: Path) -> None:
    """Each word has its own log-probability, though 'top-up failed' and 'top-up limits' part late and no request names over 128 tokens."""
    task = load_task("banking77")
    place = {label.word: number for number, label in enumerate(task.labels)}
    client = AnsweringClient(lambda prompt, said: -0.01 * (1 + place[said]) / (len(said) + 1))
    (answer,) = ask(tmp_path, client, label_question(task, Prompting(), ("Where is my card?",), 0, id="0")).values()
    probs = answer.probabilities() or ()
    assert len(probs) == 77
    assert sum(probs) == pytest.approx(1)
    asked = [request for request in client.requests if request.kind == "next"]
    assert sum(len(set(request.prompts)) for request in asked) == sum(len(request.prompts) for request in asked), "no beginning twice"
    assert max(len(request.token_ids) for request in asked) <= 128
