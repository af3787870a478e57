"""The client against a server that fails in every way that servers do."""

import asyncio
import gc
import time
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, TypeVar

import pytest

from japagen.config.llm import Sampling
from japagen.errors import ServerError
from japagen.llm import client as client_module
from japagen.llm.client import Client, Completion, Reply, Request
from japagen.llm.command import choose_port_base
from japagen.llm.endpoint import Endpoint
from tests.stubs.stub_server import StubServer

Result = TypeVar("Result")


def run(test: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run(asyncio.wait_for(test, 30))


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of milliseconds."""
    monkeypatch.setattr(client_module, "FIRST_PAUSE_S", 0.005)
    monkeypatch.setattr(client_module, "LONGEST_PAUSE_S", 0.05)


def ask(row: int, n: int = 2, **settings: Any) -> Request:
    return Request([{"role": "user", "content": f"row={row}"}], n, row * n, **{"sampling": Sampling(), **settings})


def expected(row: int, n: int = 2) -> tuple[Completion, ...]:
    return tuple(Completion(f"{row}/{j}", "stop") for j in range(n))


async def ask_all(server: StubServer, rows: int, concurrency: int | None = 8, **settings: Any) -> tuple[list[Reply], Client]:
    async with Client(server.endpoint(**settings), "m", concurrency) as client:
        return await asyncio.gather(*(client.complete(ask(row)) for row in range(rows))), client


def test_reply_holds_the_texts_in_order_and_the_tokens_are_counted() -> None:
    async def body() -> None:
        async with StubServer() as server:
            replies, client = await ask_all(server, 30)
            assert [reply.completions for reply in replies] == [expected(row) for row in range(30)]
            assert {(reply.prompt_tokens, reply.completion_tokens, reply.error) for reply in replies} == {(7, 6, "")}
            assert (client.requests, client.retries, client.failures) == (30, 0, 0)
            assert (client.prompt_tokens, client.completion_tokens) == (210, 180)
            assert server.most_open == client.limit == 8

    run(body())


def test_garbage_is_collected_as_before_once_the_client_is_closed() -> None:
    before = gc.get_threshold()

    async def body() -> None:
        async with Client(Endpoint("http://127.0.0.1:1/v1"), "m"):
            assert gc.get_threshold() == (client_module.COLLECT_AFTER, *before[1:])

    run(body())
    assert gc.get_threshold() == before


def test_open_requests_are_told_to_who_watches_the_server() -> None:
    async def body() -> None:
        traffic: list[int] = []

        def note(row: int, attempt: int) -> str:
            traffic.append(endpoint.traffic.num_open)
            return "400" if row == 2 else ""

        async with StubServer(note) as server:
            endpoint = server.endpoint()
            async with Client(endpoint, "m") as client:
                await client.complete(ask(1))
                await client.complete(ask(2))
        assert traffic == [1, 1]
        assert (endpoint.traffic.num_open, endpoint.traffic.num_ended) == (0, 2)

    run(body())


def test_every_sampling_value_goes_to_vllm() -> None:
    async def body() -> None:
        sampling = Sampling(temperature=0.7, top_p=0.9, max_tokens=33)
        async with StubServer() as server, Client(server.endpoint(api_key="secret"), "the-model") as client:
            await client.complete(ask(3, n=4, sampling=sampling))
            await client.complete(ask(3, chat_template_args={"enable_thinking": False}, structured_outputs={"choice": ["a"]}, stop=("\n",)))
        plain, rich = server.bodies
        assert plain == {
            "model": "the-model",
            "messages": [{"role": "user", "content": "row=3"}],
            "n": 4,
            "seed": 12,
            "temperature": 0.7,
            "top_p": 0.9,
            "top_k": 0,
            "repetition_penalty": 1.0,
            "max_completion_tokens": 33,
        }
        assert rich["chat_template_kwargs"] == {"enable_thinking": False}
        assert rich["structured_outputs"] == {"choice": ["a"]}
        assert rich["stop"] == ["\n"]
        assert server.headers[0]["Authorization"] == "Bearer secret"

    run(body())


def test_another_server_gets_no_fields_of_vllm_unless_they_are_set() -> None:
    async def body() -> None:
        async with StubServer() as server, Client(server.endpoint(is_vllm=False), "m") as client:
            await client.complete(Request([{"role": "user", "content": "row=1"}], 1, None, Sampling()))
            await client.complete(ask(1, sampling=Sampling(top_k=5, repetition_penalty=1.1)))
        assert set(server.bodies[0]) == {"model", "messages", "n", "temperature", "top_p", "max_tokens"}
        assert (server.bodies[1]["top_k"], server.bodies[1]["repetition_penalty"]) == (5, 1.1)
        assert "Authorization" not in server.headers[0]

    run(body())


def test_a_server_that_wants_max_completion_tokens_gets_it(fast: None) -> None:
    async def body() -> None:
        def plan(row: int, attempt: int) -> str:
            return "400" if "max_tokens" in server.bodies[-1] else ""

        async with StubServer(plan) as server:
            server.refusal = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            replies, client = await ask_all(server, 3, concurrency=1, is_vllm=False)
            assert [reply.error for reply in replies] == ["", "", ""]
            assert client.retries == 1

    run(body())


PASSING = ["408", "409", "429", "500", "502", "503", "504", "reset", "half", "json", "choices", "surrogate", "abort"]


@pytest.mark.parametrize("fault", PASSING)
def test_what_passes_is_tried_again(fault: str, fast: None) -> None:
    async def body() -> None:
        async with StubServer(lambda row, attempt: fault if row % 3 == 0 and attempt <= 2 else "") as server:
            replies, client = await ask_all(server, 9)
            assert [reply.completions for reply in replies] == [expected(row) for row in range(9)]
            assert (client.retries, client.failures) == (6, 0)

    run(body())


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_kept(form: str, fast: None) -> None:
    async def body() -> None:
        # A date has no fractions: 2 s ahead leaves at least 1.
        value = "1" if form == "seconds" else format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
        async with StubServer(lambda row, attempt: "429" if attempt == 1 else "", retry_after=value) as server:
            replies, _ = await ask_all(server, 1)
            assert replies[0].error == ""
            assert server.times[1] - server.times[0] >= 0.9

    run(body())


def test_retry_after_has_a_cap_and_may_be_nonsense() -> None:
    read = client_module._read_retry_after
    assert read("100000") == client_module.LONGEST_RETRY_AFTER_S
    assert [read(value) for value in (None, "soon", "-3", "Wed, 21 Oct 2015 07:28:00 GMT")] == [0, 0, 0, 0]


def test_a_refused_row_is_an_error_reply_and_the_rest_goes_on() -> None:
    async def body() -> None:
        async with StubServer(lambda row, attempt: "400" if row == 4 else "") as server:
            server.refusal = "context length exceeded " + "x" * 1000
            replies, client = await ask_all(server, 10)
            assert [bool(reply.error) for reply in replies] == [row == 4 for row in range(10)]
            assert replies[4].completions == (Completion("", "error"),) * 2
            assert replies[4].error.startswith('status 400: {"error": {"message": "context length exceeded')
            assert len(replies[4].error) < 330
            assert (server.attempts[4], client.failures, client.retries) == (1, 1, 0)

    run(body())


@pytest.mark.parametrize("fault", ["json", "choices", "half"])
def test_a_row_whose_answer_stays_malformed_fails_alone(fault: str, fast: None) -> None:
    async def body() -> None:
        async with StubServer(lambda row, attempt: fault if row == 0 else "") as server:
            replies, client = await ask_all(server, 30)
            assert [bool(reply.error) for reply in replies] == [row == 0 for row in range(30)]
            assert (server.attempts[0], client.failures) == (client_module.MAX_MALFORMED, 1)

    run(body())


def test_a_row_that_always_gets_500_fails_alone(fast: None) -> None:
    async def body() -> None:
        async with StubServer(lambda row, attempt: "500" if row == 0 else "", latency_s=0.01) as server:
            replies, _ = await ask_all(server, 400, concurrency=4)
            assert [bool(reply.error) for reply in replies] == [row == 0 for row in range(400)]
            assert server.attempts[0] >= client_module.MAX_INTERNAL_ERRORS

    run(body())


@pytest.mark.parametrize("fault", ["reset", "500", "503"])
def test_an_outage_loses_no_row(fault: str, fast: None) -> None:
    async def body() -> None:
        served = 0
        outage_ends: float | None = None

        def plan(row: int, attempt: int) -> str:
            nonlocal served, outage_ends
            now = time.monotonic()
            if served == 20 and outage_ends is None:
                outage_ends = now + 1.5
            if outage_ends is not None and now < outage_ends:
                return fault
            served += 1
            return ""

        async with StubServer(plan) as server:
            replies, client = await ask_all(server, 60)
            assert [reply.completions for reply in replies] == [expected(row) for row in range(60)]
            assert client.retries >= 8

    run(body())


@pytest.mark.parametrize("fault", ["reset", "503"])
def test_a_server_that_stays_away_is_lost(fault: str, fast: None) -> None:
    async def body() -> None:
        async with StubServer(lambda row, attempt: fault if row >= 5 else "") as server:
            with pytest.raises(ServerError, match=r"has served nothing for \d+ s; the last attempt: "):
                await ask_all(server, 20, concurrency=2, patience_s=1.0)

    run(body())


def test_a_server_that_was_never_there_is_lost(fast: None) -> None:
    async def body() -> None:
        endpoint = Endpoint(f"http://127.0.0.1:{choose_port_base(1)}/v1", patience_s=0.3)
        async with Client(endpoint, "m") as client:
            with pytest.raises(ServerError, match="Cannot connect"):
                await client.complete(ask(0))

    run(body())


def test_a_dead_server_ends_the_waiting_at_once() -> None:
    async def body() -> None:
        dead: list[str] = []
        async with StubServer(lambda row, attempt: "503", retry_after="50") as server:
            async with Client(server.endpoint(failure=lambda: dead[0] if dead else None), "m", 2) as client:
                calls = [asyncio.ensure_future(client.complete(ask(row))) for row in range(5)]
                while sum(server.attempts.values()) < 2:
                    await asyncio.sleep(0.01)
                dead.append("the server is lost: out of memory")
                began = time.monotonic()
                outcomes = await asyncio.gather(*calls, return_exceptions=True)
            assert {(type(outcome), str(outcome)) for outcome in outcomes} == {(ServerError, dead[0])}
            assert time.monotonic() - began < 3

    run(body())


@pytest.mark.parametrize(("status", "hint"), [("401", "llm.api_key_env"), ("403", "llm.api_key_env"), ("404", "llm.id")])
def test_what_would_refuse_every_row_ends_the_run(status: str, hint: str) -> None:
    async def body() -> None:
        async with StubServer(lambda row, attempt: status) as server, Client(server.endpoint(), "m", 1) as client:
            outcomes = await asyncio.gather(*(client.complete(ask(row)) for row in range(5)), return_exceptions=True)
        assert all(isinstance(outcome, ServerError) and hint in str(outcome) for outcome in outcomes)
        assert sum(server.attempts.values()) == 1

    run(body())


@pytest.mark.parametrize("kind", ["tokens", "next", "count"])
def test_a_server_that_is_no_vllm_gives_no_log_probabilities(kind: str) -> None:
    """An answer 404: it knows no such address."""

    async def body() -> None:
        async with StubServer() as server, Client(server.endpoint(), "m", 1) as client:
            with pytest.raises(ServerError, match=r"gives no log-probabilities of a prompt .*method\.answer=choice or free"):
                await client.complete(Request([], 0, None, Sampling(), kind=kind, prompts=((1,),), token_ids=(2,)))

    run(body())


@pytest.mark.parametrize("fault", ["400", "choices"])
def test_rows_that_all_fail_alike_end_the_run(fault: str, fast: None) -> None:
    async def body() -> None:
        async with StubServer(lambda row, attempt: fault) as server:
            replies, client = await ask_all(server, client_module.NUM_HOPELESS_ROWS - 1, concurrency=1)
            assert client.failures == len(replies) == sum(bool(reply.error) for reply in replies)
            with pytest.raises(ServerError, match="20 rows one after the other, all alike: ") as caught:
                await ask_all(server, 100, concurrency=1)
            assert ("synthesis.texts_per_request=1" in str(caught.value)) == (fault == "choices")

    run(body())


def test_many_refused_rows_after_a_success_do_not_end_the_run() -> None:
    async def body() -> None:
        async with StubServer(lambda row, attempt: "400" if row else "") as server:
            replies, _ = await ask_all(server, 60, concurrency=1)
            assert sum(bool(reply.error) for reply in replies) == 59

    run(body())


def test_cancelled_calls_give_their_places_back() -> None:
    async def body() -> None:
        async with StubServer(latency_s=0.05) as server, Client(server.endpoint(), "m", 2) as client:
            calls = [asyncio.ensure_future(client.complete(ask(row))) for row in range(20)]
            while server.open < 2:
                await asyncio.sleep(0.005)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            replies = await asyncio.gather(*(client.complete(ask(row)) for row in range(6)))
            assert [reply.completions for reply in replies] == [expected(row) for row in range(6)]

    run(body())


def test_the_key_shows_nowhere() -> None:
    assert "secret" not in repr(Endpoint("http://x/v1", "secret"))
