"""Servers with habits of their own: what they refuse is found out and avoided, and what they answer is read."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from japagen.config.llm import Sampling
from japagen.errors import ServerError
from japagen.llm import client as client_module
from japagen.llm.client import Client, Completion, Reply, Request
from japagen.llm.endpoint import Endpoint
from tests.stubs.stub_llm import StubLLM, serving

SAMPLING = Sampling(temperature=0.9)
Body = dict[str, Any]


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "FIRST_PAUSE_S", 0.005)


@pytest.fixture
def stub() -> Iterator[StubLLM]:
    with serving(StubLLM(owned_by="somebody", write=lambda messages, seed: f"{messages[0]['content']}/{seed}")) as stub:
        yield stub


def ask(stub: StubLLM, num: int = 3, n: int = 2, sampling: Sampling = SAMPLING, first_seed: int = 0, **settings: Any) -> list[Reply]:
    """Replies to `num` requests, one after the other for a plain record of what was sent."""

    async def run() -> list[Reply]:
        async with Client(Endpoint(stub.base_url, is_vllm=False), "m", 1, settings.pop("request_args", None)) as client:
            asked = [Request([{"role": "user", "content": f"r{row}"}], n, first_seed + row * n, sampling, **settings) for row in range(num)]
            return [await client.complete(request) for request in asked]

    return asyncio.run(asyncio.wait_for(run(), 30))


def texts(replies: list[Reply]) -> list[str]:
    assert [reply.error for reply in replies] == [""] * len(replies)
    return [completion.text for reply in replies for completion in reply.completions]


def refusing(field: str, status: int, answer: Any) -> Callable[[Body], tuple[int, Any] | None]:
    return lambda body: (status, answer) if field in body else None


REFUSALS: list[tuple[int, Any]] = [
    (400, {"error": {"message": "Unrecognized request argument supplied: FIELD", "type": "invalid_request_error"}}),
    (400, {"error": {"message": "Unsupported parameter: 'FIELD' is not supported with this model.", "param": "FIELD"}}),
    (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "FIELD"], "msg": "Extra inputs are not permitted", "input": 1}]}),
    (422, {"detail": "Unexpected fields in the request: {'FIELD'}"}),
]


def naming(answer: Any, field: str) -> Any:
    if isinstance(answer, dict):
        return {key: naming(value, field) for key, value in answer.items()}
    if isinstance(answer, list):
        return [naming(value, field) for value in answer]
    return answer.replace("FIELD", field) if isinstance(answer, str) else answer


@pytest.mark.parametrize(("status", "answer"), REFUSALS)
def test_a_seed_that_is_refused_is_left_out_with_one_note(
    stub: StubLLM, status: int, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stub.refuse = refusing("seed", status, naming(answer, "seed"))
    with caplog.at_level(logging.WARNING):
        assert texts(ask(stub)) == ["r0/0", "r0/1", "r1/0", "r1/1", "r2/0", "r2/1"]
    assert ["seed" in body for body in stub.bodies] == [True, False, False, False]
    assert [record.getMessage() for record in caplog.records if "not reproducible" in record.getMessage()] == [caplog.messages[0]]


def test_a_seed_of_more_than_32_bits_is_shortened_first(stub: StubLLM) -> None:
    def refuse(body: Body) -> tuple[int, Any] | None:
        message = f"Invalid value at 'generation_config.seed' (TYPE_INT32), {body['seed']}"
        return (400, {"error": {"message": message}}) if body["seed"] >= 1 << 31 else None

    stub.refuse = refuse
    seeds = [int(text.partition("/")[2]) for text in texts(ask(stub, first_seed=(1 << 40) + 5))]
    assert seeds == [5, 6, 7, 8, 9, 10], "still another one for each text"


@pytest.mark.parametrize(("status", "answer"), REFUSALS)
def test_n_that_is_refused_becomes_requests_of_one_text(stub: StubLLM, status: int, answer: Any) -> None:
    stub.refuse = (
        refusing("n", status, naming(answer, "n"))
        if status == 400 and "param" in answer["error"]
        else lambda body: (400, {"error": {"message": "'n' : number must be at most 1"}}) if body.get("n", 1) > 1 else None
    )
    replies = ask(stub)
    assert texts(replies) == ["r0/0", "r0/1", "r1/2", "r1/3", "r2/4", "r2/5"]
    assert [body.get("n") for body in stub.bodies] == [2, *[None] * 6]
    assert replies[0].completion_tokens == 20


def test_a_server_that_gives_one_text_whatever_n_says_is_asked_for_each(stub: StubLLM) -> None:
    stub.follows_n = False
    assert texts(ask(stub)) == ["r0/0", "r0/1", "r1/2", "r1/3", "r2/4", "r2/5"]
    assert [body["n"] for body in stub.bodies] == [2, *[1] * 6]


@pytest.mark.parametrize("spelt", ["max_tokens", "max_completion_tokens"])
def test_the_length_is_asked_for_under_the_other_name(stub: StubLLM, spelt: str) -> None:
    other = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}[spelt]
    stub.refuse = refusing(spelt, 400, {"error": {"message": f"Unsupported parameter: '{spelt}'. Use '{other}' instead."}})
    assert len(texts(ask(stub))) == 6
    assert {name for name in ("max_tokens", "max_completion_tokens") if name in stub.bodies[-1]} == {other}


def test_a_sampling_value_that_changes_nothing_is_left_out(stub: StubLLM) -> None:
    stub.refuse = refusing("top_p", 400, {"error": {"message": "Unsupported parameter: 'top_p'"}})
    assert len(texts(ask(stub))) == 6


@pytest.mark.parametrize(
    ("field", "settings", "setting"),
    [
        ("temperature", {}, r"refuses temperature=0.9 \(llm.sampling.temperature\).*set llm.sampling.temperature=1.0"),
        ("top_k", {"sampling": Sampling(top_k=20)}, "set llm.sampling.top_k=0"),
        ("repetition_penalty", {"sampling": Sampling(repetition_penalty=1.1)}, "set llm.sampling.repetition_penalty=1.0"),
        ("chat_template_kwargs", {"chat_template_args": {"enable_thinking": False}}, "set llm.chat_template_args={}"),
        ("reasoning_effort", {"request_args": {"reasoning_effort": "none"}}, "take reasoning_effort out of llm.request_args"),
    ],
)
def test_a_value_that_decides_texts_ends_the_run_with_its_setting(stub: StubLLM, field: str, settings: Any, setting: str) -> None:
    stub.refuse = refusing(field, 400, {"error": {"message": f"Unsupported value: '{field}' is not supported with this model."}})
    with pytest.raises(ServerError, match=setting):
        ask(stub, **settings)
    assert len(stub.bodies) == 1


def test_words_about_one_row_are_no_habit(stub: StubLLM) -> None:
    """Once the server took the setting, a refusal that happens to name it is the row's."""
    too_long = {"error": {"message": "This model's maximum context length is 128 tokens; reduce the temperature debate"}}
    stub.refuse = lambda body: (400, too_long) if body["messages"][0]["content"] == "r1" else None
    replies = ask(stub)
    assert [bool(reply.error) for reply in replies] == [False, True, False]


@pytest.mark.parametrize(("temperature", "is_noted"), [(0.9, True), (0.0, False)])
def test_a_server_that_does_not_sample_is_noted_once(
    stub: StubLLM, caplog: pytest.LogCaptureFixture, temperature: float, is_noted: bool
) -> None:
    stub.write = lambda messages, seed: "Hello."
    ask(stub, num=8, sampling=Sampling(temperature=temperature))
    assert ["seems not to sample" in message for message in caplog.messages] == [True] * is_noted


def test_texts_that_are_alike_by_chance_are_not_noted(stub: StubLLM, caplog: pytest.LogCaptureFixture) -> None:
    stub.write = lambda messages, seed: "Hello." if seed != 5 else "Hi."
    ask(stub, num=8)
    assert caplog.messages == []


THINKING = {"reasoning_content": "どんな文がよいか"}


@pytest.mark.parametrize(
    ("message", "finish_reason", "expected"),
    [
        ({"content": [{"type": "text", "text": "犬が"}, {"type": "text", "text": "走る。"}]}, "stop", Completion("犬が走る。", "stop")),
        ({"content": ["犬が", "走る。"]}, "stop", Completion("犬が走る。", "stop")),
        (
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "x"}]}, {"type": "text", "text": "犬。"}]},
            "stop", Completion("犬。", "stop", thought=True),
        ),
        ({"content": None}, "stop", Completion("", "stop")),
        ({"content": None} | THINKING, "stop", Completion("", "thinking", thought=True)),
        ({"content": None} | THINKING, "length", Completion("", "thinking", thought=True)),
        ({"content": "犬。"} | THINKING, "stop", Completion("犬。", "stop", thought=True)),
        ({"content": "<think>長い"}, "length", Completion("", "thinking", thought=True)),
        ({"content": "analysisWe need.assistantfinal犬。"}, "stop", Completion("犬。", "stop", thought=True)),
        ({"content": None, "refusal": "お手伝いできません。"}, "stop", Completion("お手伝いできません。", "declined")),
        ({"content": [{"type": "refusal", "refusal": "No."}]}, "stop", Completion("No.", "declined")),
        ({"content": None, "tool_calls": [{"id": "1"}]}, "tool_calls", Completion("", "tool call")),
        ({"content": None, "tool_calls": [{"id": "1"}]}, "stop", Completion("", "tool call")),
        *(
            ({"content": "犬が走"}, said, Completion("犬が走", stored))
            for said, stored in [
                ("content_filter", "filtered"), ("SAFETY", "filtered"), ("max_tokens", "length"), ("MAX_TOKENS", "length"),
                ("model_length", "length"), ("refusal", "declined"), ("tool_use", "tool call"), ("who knows", "length"),
                ("eos", "stop"), ("eos_token", "stop"), ("end_turn", "stop"), ("stop_sequence", "stop"), ("COMPLETE", "stop"),
                (None, "stop"), ("", "stop"),
            ]
        ),
    ],
)  # fmt: skip
def test_what_servers_answer_is_read(stub: StubLLM, message: Body, finish_reason: Any, expected: Completion) -> None:
    stub.message, stub.finish_reason = lambda text: message, finish_reason
    (reply,) = ask(stub, num=1, n=1)
    assert reply.completions == (expected,)
    assert reply.error == ""
