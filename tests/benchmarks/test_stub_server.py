"""The benchmarks' stub server: what it answers, which faults it has, what it counts."""

import asyncio
import importlib.util
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from japagen.curation.near import NearDuplicates
from japagen.prompts.japanese import is_japanese

Post = Callable[..., Awaitable[tuple[int, dict[str, Any]]]]


@pytest.fixture(scope="module")
def stub() -> ModuleType:
    """benchmarks/ is no package."""
    spec = importlib.util.spec_from_file_location("benchmarks_stub", Path(__file__).parents[2] / "benchmarks" / "stub_server.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for its names
    spec.loader.exec_module(module)
    return module


def serve(stub: ModuleType, ask: Callable[[Post], Awaitable[None]], **settings: Any) -> dict[str, Any]:
    """The server's counts after `ask(post)`, which may send it chats and resets."""

    async def run() -> dict[str, Any]:
        served = stub.Stub(stub.Settings(**{"latency_ms": 0, "chars": 60} | settings))
        runner = web.ServerRunner(web.Server(served.handle))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as session:

            async def post(path: str = "/v1/chat/completions", prompt: str = "", **body: Any) -> tuple[int, dict[str, Any]]:
                if prompt:
                    body |= {"model": "stub", "messages": [{"role": "user", "content": prompt}]}
                async with session.post(path, data=json.dumps(body)) as answer:
                    return answer.status, await answer.json()

            await ask(post)
        await runner.cleanup()
        return dict(served.stats())

    return asyncio.run(run())


def texts(answer: dict[str, Any]) -> list[str]:
    return [choice["message"]["content"] for choice in answer["choices"]]


def test_seed_and_n(stub: ModuleType) -> None:
    """Text j of a request is the one text of seed + j, as with vLLM, so n texts a request are the same as one."""

    async def ask(post: Post) -> None:
        _, four = await post(prompt="書いて", seed=40, n=4)
        _, one = await post(prompt="書いて", seed=42)
        assert texts(four)[2:3] == texts(one)
        assert len(set(texts(four))) == 4
        assert {len(text) for text in texts(four)} == {60}
        assert four["usage"]["completion_tokens"] == 240

    counts = serve(stub, ask)
    assert (counts["total"], counts["ok"], counts["texts"]) == (2, 2, 5)


def test_row_number(stub: ModuleType) -> None:
    """A prompt's row number begins its text, and rows asked for again are counted."""

    async def ask(post: Post) -> None:
        for number in (7, 8, 7):
            _, answer = await post(prompt=f"書いて row={number}", seed=1)
            assert texts(answer)[0].startswith(f"row={number:07d} ")
            assert len(texts(answer)[0]) == 60

    counts = serve(stub, ask)
    assert (counts["rows_ok_unique"], counts["rows_ok_repeated"], counts["rows_received_repeated"]) == (2, 1, 1)


def test_texts_pass_filters(stub: ModuleType) -> None:
    """Every text is Japanese and none is nearly another, or a benchmark would measure rejects."""
    near = NearDuplicates(0.6)
    written = [stub.write_text(str(10**14 + number), 100) for number in range(300)]
    assert all(is_japanese(text) for text in written)
    assert all(near.takes(text) for text in written)


@pytest.mark.parametrize(("settings", "status", "kind"), [({"p500": 1.0}, 500, "e500"), ({"p429": 1.0}, 429, "e429")])
def test_error_statuses(stub: ModuleType, settings: dict[str, float], status: int, kind: str) -> None:
    async def ask(post: Post) -> None:
        assert (await post(prompt="書いて", seed=1))[0] == status
        assert (await post(prompt="生きているか"))[0] == 200  # no number: nobody's row

    counts = serve(stub, ask, **settings)
    assert (counts[kind], counts["ok"], counts["unnumbered"]) == (1, 0, 1)


@pytest.mark.parametrize(("settings", "kind"), [({"preset": 1.0}, "reset"), ({"outage_s": 60}, "outage")])
def test_dropped_connections(stub: ModuleType, settings: dict[str, float], kind: str) -> None:
    async def ask(post: Post) -> None:
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await post(prompt="書いて", seed=1)

    counts = serve(stub, ask, **settings)
    assert counts[kind] >= 1  # aiohttp tries a kept connection twice
    assert counts["ok"] == 0


def test_outage_begins_after_answers(stub: ModuleType) -> None:
    async def ask(post: Post) -> None:
        assert (await post(prompt="書いて", seed=1))[0] == 200
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await post(prompt="書いて", seed=2)

    assert serve(stub, ask, outage_at=1, outage_s=60)["ok"] == 1


def test_bad_rows_and_reset(stub: ModuleType) -> None:
    """Every 10th row is refused, always; /reset changes settings, keeps latency and length, and counts from nought."""

    async def ask(post: Post) -> None:
        assert [(await post(prompt="書いて", seed=seed))[0] for seed in (19, 20, 20)] == [200, 400, 400]
        _, settings = await post("/reset", p500=1.0)
        assert (settings["p500"], settings["bad_every"], settings["latency_ms"], settings["chars"]) == (1.0, 0, 0, 60)
        assert (await post(prompt="書いて", seed=20))[0] == 500

    counts = serve(stub, ask, bad_every=10)
    assert (counts["total"], counts["e400"], counts["e500"]) == (1, 0, 1)


def test_process(stub: ModuleType) -> None:
    """As a process of its own it says where it listens and ends with its context."""
    with stub.running_stub(stub.Settings(latency_ms=0)) as address:
        assert stub.ask_stub(address, "/v1/models")["data"][0]["id"] == stub.MODEL
        assert stub.ask_stub(address, "/stats")["total"] == 0
    with pytest.raises(OSError, match="refused"):
        stub.ask_stub(address, "/stats")
