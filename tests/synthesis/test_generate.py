"""Filling a stream: whatever order replies come in and wherever it is interrupted, the same data set, and nothing asked twice."""

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from japagen.config import Config
from japagen.curation.select import Selector
from japagen.errors import GenerationError, ServerError
from japagen.llm.client import Completion, Reply, Request
from japagen.prompts import Prompting
from japagen.synthesis.generate import Generator
from japagen.synthesis.stream import Row, Stream, StreamRows
from tests.conftest import Compose

NOUNS = "犬猫鳥馬牛象魚花木山川海空雲星月船車家町道橋駅店人子父母兄姉"


class StubClient:
    """Answers in memory, from the seed alone, in any order; counts what it was asked."""

    def __init__(self, order: int = 0, reject_share: float = 0.0, fail_after: int | None = None, limit: int = 7) -> None:
        self.limit = limit
        self.asked: list[Request] = []
        self._order, self._reject_share, self._fail_after = random.Random(order), reject_share, fail_after

    async def complete(self, request: Request) -> Reply:
        self.asked.append(request)
        for _ in range(self._order.randrange(6)):
            await asyncio.sleep(0)
        if self._fail_after is not None and len(self.asked) > self._fail_after:
            raise ServerError("the server is gone")
        assert request.seed is not None
        texts = [self._text(request.seed + j) for j in range(request.n)]
        return Reply(tuple(Completion(text, "stop") for text in texts), 10, 5 * request.n)

    def _text(self, seed: int) -> str:
        drawn = random.Random(seed)
        if drawn.random() < self._reject_share:
            return "I cannot"
        return "".join(drawn.choice(NOUNS) for _ in range(4)) + "が走る。"


def make_stream(config: Config, n: int = 4) -> Stream:
    return Stream("key", config.task, Prompting(), {}, n, {"llm": {"chat_template_args": {}}})


def fill(config: Config, folder: Path, client: Any, num: int, factor: float = 5.0) -> Selector:
    rows = StreamRows(folder)
    selector = Selector(config.task, config.curate, num)
    asyncio.run(Generator(make_stream(config), rows, selector, config.llm.sampling, num, factor).run(client))
    return selector


def cut(config: Config, folder: Path, num: int) -> Selector:
    """What a data set is cut from: a fresh judge over the stored rows."""
    selector = Selector(config.task, config.curate, num)
    selector.advance(StreamRows(folder))
    return selector


@pytest.mark.parametrize("task", ["jcola", "jnli", "jsts"])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.integers(0, 1000), limit=st.integers(1, 40), share=st.sampled_from([0.0, 0.3, 0.7]))
def test_the_order_of_replies_does_not_matter(
    composed: Compose, tmp_path_factory: pytest.TempPathFactory, task: str, order: int, limit: int, share: float
) -> None:
    config = composed(f"task={task}")
    accepted = []
    for client in (StubClient(order, share, limit=limit), StubClient(0, share, limit=1)):
        folder = tmp_path_factory.mktemp("stream")
        fill(config, folder, client, 20, factor=50)
        selector = cut(config, folder, 20)
        assert selector.is_complete
        assert all(selector.num_accepted(label) == 20 for label in config.task.label_names)
        accepted.append(selector.accepted)
    assert accepted[0] == accepted[1]


def test_first_sentences_are_made_once_and_serve_every_label(composed: Compose, tmp_path: Path) -> None:
    config = composed()
    client = StubClient()
    fill(config, tmp_path, client, 20)
    rows = list(StreamRows(tmp_path))
    assert Counter(row.turn for row in rows) == {0: 20, 1: 60}
    openings = [request for request in client.asked if request.n == 4]
    assert len(openings) == 5


def test_a_stream_is_extended_never_remade(composed: Compose, tmp_path: Path) -> None:
    config = composed("task=jcola")
    fill(config, tmp_path, StubClient(), 48)
    more = StubClient(order=5)
    fill(config, tmp_path, more, 200)
    assert sum(request.n for request in more.asked) == 2 * (200 - 48)
    nothing = StubClient()
    fill(config, tmp_path, nothing, 100)
    assert nothing.asked == []
    assert cut(config, tmp_path, 200).accepted[:96] == cut(config, tmp_path, 48).accepted


@pytest.mark.parametrize("task", ["jcola", "jnli"])
def test_interrupted_anywhere_only_what_is_missing_is_asked_for(composed: Compose, tmp_path: Path, task: str) -> None:
    config = composed(f"task={task}")
    whole = tmp_path / "whole"
    whole.mkdir()
    fill(config, whole, StubClient(), 20)
    for stop in (0, 1, 5, 9):
        folder = tmp_path / str(stop)
        folder.mkdir()
        with pytest.raises(ServerError):
            fill(config, folder, StubClient(stop, fail_after=stop), 20)
        kept = {row.place for row in StreamRows(folder)}
        rest = StubClient()
        fill(config, folder, rest, 20)
        assert {row.place for row in StreamRows(folder)} == {row.place for row in StreamRows(whole)}
        assert sum(request.n for request in rest.asked) == len(list(StreamRows(whole))) - len(kept)
        assert cut(config, folder, 20).accepted == cut(config, whole, 20).accepted


def test_the_budget_ends_a_label_with_its_rejects(composed: Compose, tmp_path: Path) -> None:
    config = composed("task=jcola")
    client = StubClient(reject_share=0.8)
    with pytest.raises(GenerationError, match=r"label '\w+': \d+ of 100 texts were accepted within the budget of 300 .*refusal \d+"):
        fill(config, tmp_path, client, 100, factor=3)
    assert sum(request.n for request in client.asked) <= 2 * 300
    assert len(StreamRows(tmp_path)) > 200, "what was made stays"


def test_a_hopeless_label_stops_after_200_replies(composed: Compose, tmp_path: Path) -> None:
    client = StubClient(reject_share=1.0)
    with pytest.raises(GenerationError, match="only 0 of 200 replies were accepted"):
        fill(composed("task=jcola"), tmp_path, client, 5000, factor=100)
    assert sum(request.n for request in client.asked) < 11_000


def test_a_request_that_failed_for_good_completes_the_prefix(composed: Compose, tmp_path: Path) -> None:
    class OneBadRequest(StubClient):
        async def complete(self, request: Request) -> Reply:
            is_second = len(self.asked) == 1
            reply = await super().complete(request)
            if is_second:
                return Reply(tuple(Completion("", "error") for _ in range(request.n)), 0, 0, "400: bad")
            return reply

    config = composed("task=jcola")
    selector = fill(config, tmp_path, OneBadRequest(), 20)
    assert selector.is_complete
    assert sum(selector.rejects(label)["error"] for label in config.task.label_names) == 4
    failed = [row for row in StreamRows(tmp_path) if row.finish_reason == "error"]
    assert {row.error for row in failed} == {"400: bad"}


def test_token_counts_are_those_of_the_requests(composed: Compose, tmp_path: Path) -> None:
    client = StubClient()
    fill(composed("task=jcola"), tmp_path, client, 20)
    rows: list[Row] = list(StreamRows(tmp_path))
    assert sum(row.prompt_tokens for row in rows) == 10 * len(client.asked)
    assert sum(row.completion_tokens for row in rows) == 5 * len(rows)
