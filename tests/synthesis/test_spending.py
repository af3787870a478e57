"""llm.max_tokens_total and llm.max_cost: the end comes within the requests in flight, over all runs and writers, and can be gone past."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from japagen.config.schema import Config
from japagen.curation.select import Selector
from japagen.errors import LimitError, ServerError
from japagen.llm.client import Reply, Request
from japagen.prompts.questions import Question
from japagen.store.rowsfile import StreamRows
from japagen.store.store import Store
from japagen.synthesis import answers as answers_module
from japagen.synthesis import generate
from japagen.synthesis.answers import Answer, answer_all
from japagen.synthesis.claims import Claims
from japagen.synthesis.generate import Generator
from japagen.synthesis.limits import Meter
from tests.conftest import Compose
from tests.stubs.streams import make_stream
from tests.stubs.stub_client import StubClient

NUM, LIMIT = 40, 3
PRICED = ["llm.price_per_million_tokens=1000", "llm.price_per_million_completion_tokens=3000"]
"""A request of 4 texts takes 10 tokens of prompt and 20 of replies (StubClient): 30 tokens, 0.07 in money."""


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "REFRESH_S", 0.01)
    monkeypatch.setattr(answers_module, "REFRESH_S", 0.0)


def fill(config: Config, root: Path, client: Any, shards: int = 1) -> list[BaseException | None]:
    """Fills the stream by so many writers at once; what each ended with."""

    async def write() -> None:
        store, stream = Store(root), make_stream(config)
        folder = store.path("stream", stream.key)
        folder.mkdir(parents=True, exist_ok=True)
        with Claims(store, stream) as claims:
            rows, selector = StreamRows(folder), Selector(config.task, config.curate, NUM)
            sampling, meter = config.llm.sampling, Meter(config.llm, rows)
            await Generator(stream, rows, selector, sampling, NUM, 5.0, claims=claims, meter=meter).run(client)

    async def run() -> list[BaseException | None]:
        return await asyncio.gather(*(write() for _ in range(shards)), return_exceptions=True)

    return asyncio.run(asyncio.wait_for(run(), 60))


def spent(root: Path) -> int:
    """Tokens of all rows on the disk."""
    lines = [json.loads(line) for path in root.glob("streams/*/rows-*.jsonl") for line in path.read_text(encoding="utf-8").splitlines()]
    return sum(line["prompt_tokens"] + line["completion_tokens"] for line in lines)


@pytest.mark.parametrize("task", ["jcola", "jnli"])
@pytest.mark.parametrize("shards", [1, 3])
def test_writing_stops_at_the_limit_and_goes_on_past_it(composed: Compose, tmp_path: Path, task: str, shards: int) -> None:
    config = composed(f"task={task}", "llm.max_tokens_total=300")
    first = fill(config, tmp_path, StubClient(limit=LIMIT), shards)
    assert all(isinstance(error, LimitError) for error in first)
    before = spent(tmp_path)
    assert 300 <= before <= (300 + 30 * LIMIT) * shards, "what others took in the last moment is not known yet"
    assert f"llm.max_tokens_total=300 is reached: {before:,} tokens spent" in str(first[0]) or shards > 1
    client = StubClient(limit=LIMIT)
    assert all(isinstance(error, LimitError) for error in fill(config, tmp_path, client, shards))
    assert client.asked == [], "the limit is of the stream's life, not of one run"
    config.llm.max_tokens_total = 1_000_000
    assert fill(config, tmp_path, client, shards) == [None] * shards
    whole = StubClient()
    config.llm.max_tokens_total = None
    assert fill(config, tmp_path / "whole", whole) == [None]
    assert len(client.asked) < len(whole.asked) or shards > 1, "what was made before is not asked for again"


def test_the_cost_counts_prompts_and_replies_by_their_prices(composed: Compose, tmp_path: Path) -> None:
    (error,) = fill(composed("task=jcola", "llm.max_cost=0.5", *PRICED), tmp_path, StubClient(limit=1))
    assert spent(tmp_path) == 240, "0.07 a request: the eighth passes 0.5"
    said = str(error)
    assert "llm.max_cost=0.5 is reached: 0.56 spent (80 prompt and 160 completion tokens) on 32 of 80" in said
    assert "the missing 48 take about 0.84 more at this rate: set llm.max_cost to 1.40 or more, and the same command goes on" in said
    assert str(tmp_path) in said


def test_open_requests_are_reckoned_at_the_mean(composed: Compose, tmp_path: Path) -> None:
    """So that only the first ones, of which nothing is known yet, can pass the limit together."""
    fill(composed("task=jcola", "llm.max_tokens_total=500"), tmp_path, StubClient(limit=3))
    assert 500 <= spent(tmp_path) <= 530


def test_a_limit_needs_token_counts(composed: Compose, tmp_path: Path) -> None:
    class Silent(StubClient):
        async def complete(self, request: Request) -> Reply:
            reply = await super().complete(request)
            return Reply(reply.completions, 0, 0)

    (error,) = fill(composed("task=jcola", "llm.max_tokens_total=500"), tmp_path / "a", Silent())
    assert isinstance(error, ServerError)
    assert "llm.max_tokens_total: the LLM server reports no token counts" in str(error)
    assert fill(composed("task=jcola"), tmp_path / "b", Silent()) == [None]


def test_nothing_usable_is_no_estimate(composed: Compose, tmp_path: Path) -> None:
    (error,) = fill(composed("task=jcola", "llm.max_tokens_total=100"), tmp_path, StubClient(reject_share=1.0))
    assert "nothing is usable yet, so look at the replies (japagen preview) before you raise llm.max_tokens_total" in str(error)


def ask(config: Config, folder: Path, client: Any, shards: int = 1) -> list[BaseException | None]:
    questions = [Question(str(index), ([{"role": "user", "content": f"文{index}"}],), is_scored=False) for index in range(60)]

    async def answer(number: int) -> None:
        rows = StreamRows(folder, Answer)
        meter = Meter(config.llm, rows, "judge")
        await answer_all(questions[number::shards], rows, client, {}, 16, lambda progress: None, meter=meter)

    async def run() -> list[BaseException | None]:
        return await asyncio.gather(*(answer(number) for number in range(shards)), return_exceptions=True)

    return asyncio.run(asyncio.wait_for(run(), 60))


class Answering(StubClient):
    async def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        for _ in range(self._order.randrange(6)):
            await asyncio.sleep(0)
        return await StubClient().complete(Request(request.messages, 1, 0, request.sampling))


@pytest.mark.parametrize("shards", [1, 3])
def test_answers_stop_at_the_limit_and_go_on_past_it(composed: Compose, tmp_path: Path, shards: int) -> None:
    config, folder = composed("llm.max_tokens_total=300"), tmp_path / "answers" / "key"
    folder.mkdir(parents=True)
    errors = ask(config, folder, Answering(limit=2), shards)
    assert any(isinstance(error, LimitError) for error in errors)
    num = len(StreamRows(folder, Answer))
    assert 20 <= num <= 20 + 2 * shards, "15 tokens each"
    assert any("judge.max_tokens_total=300 is reached" in str(error) for error in errors)
    config.llm.max_tokens_total = 10_000
    client = Answering()
    assert ask(config, folder, client, shards) == [None] * shards
    assert len(client.asked) == 60 - num
