"""Filling a stream: whatever order replies come in and wherever it is interrupted, the same data set, and nothing asked twice."""

import asyncio
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from japagen.curation.select import Selector
from japagen.errors import GenerationError, ServerError
from japagen.llm.client import Completion, Reply, Request
from japagen.prompts.verbalized import list_pattern, list_phrase
from japagen.store.rowsfile import StreamRow, StreamRows
from japagen.synthesis.generate import Generator, rows_of
from tests.conftest import Compose
from tests.stubs.streams import cut, fill, make_stream
from tests.stubs.stub_client import StubClient


@pytest.mark.parametrize("task", ["jcola", "jnli"])
def test_judged_rows_leave_the_memory(composed: Compose, tmp_path: Path, task: str) -> None:
    config = composed(f"task={task}")
    num_kept = []
    for num in (100, 400):
        rows, selector = StreamRows(tmp_path), Selector(config.task, config.curate, num)
        client: Any = StubClient(reject_share=0.2)
        asyncio.run(Generator(make_stream(config), rows, selector, config.llm.sampling, num, 5.0).run(client))
        assert len(rows) == len(StreamRows(tmp_path))
        num_kept.append(len(list(rows)))
    assert max(num_kept) < 30 < len(rows), "what was open when its label became full, at most"


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
        kept = {row.position for row in StreamRows(folder)}
        rest = StubClient()
        fill(config, folder, rest, 20)
        assert {row.position for row in StreamRows(folder)} == {row.position for row in StreamRows(whole)}
        assert sum(request.n for request in rest.asked) == len(list(StreamRows(whole))) - len(kept)
        assert cut(config, folder, 20).accepted == cut(config, whole, 20).accepted


def test_the_budget_ends_a_label_with_its_rejects(composed: Compose, tmp_path: Path) -> None:
    config = composed("task=jcola")
    client = StubClient(reject_share=0.8)
    with pytest.raises(GenerationError, match=r"label '\w+': \d+ of 100 texts were accepted within the budget of 300 .*refusal \d+"):
        fill(config, tmp_path, client, 100, factor=3)
    assert sum(request.n for request in client.asked) <= 2 * 300
    assert len(StreamRows(tmp_path)) > 200, "what was made stays"


class TwoReasons(StubClient):
    """Writes nothing that is accepted, for two reasons."""

    def _text(self, seed: int) -> str:
        return "I cannot" if seed % 2 else "犬"


def test_a_hopeless_label_stops_after_200_replies(composed: Compose, tmp_path: Path) -> None:
    client = TwoReasons()
    with pytest.raises(GenerationError, match="only 0 of 200 replies were accepted"):
        fill(composed("task=jcola"), tmp_path, client, 5000, factor=100)
    assert sum(request.n for request in client.asked) < 11_000


class English(StubClient):
    """Writes English."""

    def _text(self, seed: int) -> str:
        return f"My parcel number {seed % 100_000} has not arrived yet."


@pytest.mark.parametrize("task", ["jcola", "jnli"])
def test_a_label_whose_first_replies_all_fail_for_one_reason_stops(composed: Compose, tmp_path: Path, task: str) -> None:
    """Of a pair the first sentence's own reason counts; the same replies serve once the setting is changed."""
    client = English(limit=4)
    expected = (
        r"label '\w+': all of the first 4\d replies were rejected as 'wrong language' \(the first: 'My parcel number .*', '.*', '.*'\)\."
        r" To go on, set task\.language .*\. The replies made so far stay in .*, and the next run reads them again"
    )
    with pytest.raises(GenerationError, match=expected):
        fill(composed(f"task={task}"), tmp_path, client, 500)
    num_kept = len(StreamRows(tmp_path))
    assert 40 <= num_kept <= 200
    again = English()
    with pytest.raises(GenerationError, match="'wrong language'"):
        fill(composed(f"task={task}"), tmp_path, again, 500)
    assert not again.asked
    if task == "jcola":
        more = English()
        assert fill(
            composed("task=jcola", "task.language=''", "task.max_chars=60", "curate.near_duplicates=null"), tmp_path, more, 40
        ).is_complete
        assert sum(request.n for request in more.asked) <= 80 + 16 - num_kept


def test_failed_requests_do_not_end_a_label_early(composed: Compose, tmp_path: Path) -> None:
    class Broken(StubClient):
        async def complete(self, request: Request) -> Reply:
            await super().complete(request)
            return Reply((Completion("", "error"),) * request.n, 0, 0, "400: bad")

    with pytest.raises(GenerationError, match=r"only 0 of 200 replies were accepted \(rejected: error 200\)"):
        fill(composed("task=jcola"), tmp_path, Broken(), 500)


def test_progress_names_the_commonest_reason(composed: Compose, tmp_path: Path) -> None:
    config, shown = composed("task=jcola"), []
    selector = Selector(config.task, config.curate, 20)
    generator = Generator(
        make_stream(config), StreamRows(tmp_path), selector, config.llm.sampling, 20, 5.0, show=lambda progress: shown.append(progress)
    )
    client: Any = StubClient(reject_share=0.5)
    asyncio.run(generator.run(client))
    rejected = sum(selector.rejects(label)["refusal"] for label in config.task.label_names)
    assert rejected
    assert shown[-1].commonest == f"refusal {rejected}"


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
    rows: list[StreamRow] = list(StreamRows(tmp_path))
    assert sum(row.prompt_tokens for row in rows) == 10 * len(client.asked)
    assert sum(row.completion_tokens for row in rows) == 5 * len(rows)


@pytest.mark.parametrize("task", ["jcola", "jnli"])
def test_temperatures_are_taken_in_turn_request_by_request(composed: Compose, tmp_path: Path, task: str) -> None:
    config = composed(f"task={task}", "synthesis.temperatures=[0.7,1.0,1.3]")
    client = StubClient()
    fill(config, tmp_path, client, 24)
    stream = make_stream(config)
    first_seed = {ask.seed: ask.temperature for label in ("", *config.task.label_names) if bool(label) != config.task.is_pair
                  for ask in (stream.ask(label, 4 * request) for request in range(6))}  # fmt: skip
    openings = [request for request in client.asked if request.n == 4]
    assert {request.seed: request.sampling.temperature for request in openings} == first_seed
    assert list(first_seed.values())[:6] == [0.7, 1.0, 1.3, 0.7, 1.0, 1.3]
    if config.task.is_pair:
        for index in range(12):
            assert stream.second_ask("neutral", index, "犬が走る。").temperature == stream.ask("", index).temperature
        seconds = [request.sampling.temperature for request in client.asked if request.n == 1]
        assert Counter(seconds) == dict.fromkeys([0.7, 1.0, 1.3], 24)


def test_without_temperatures_the_llm_s_own_serves(composed: Compose, tmp_path: Path) -> None:
    config = composed("task=jcola")
    client = StubClient()
    fill(config, tmp_path, client, 4)
    assert all(request.sampling == config.llm.sampling and request.structured_outputs is None for request in client.asked)


class ListingClient(StubClient):
    """Answers a request for a list with one; `num_kept` of its texts, then the reply is cut off."""

    def __init__(self, num_kept: int | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self.num_kept = num_kept

    async def complete(self, request: Request) -> Reply:
        reply = await super().complete(request)
        if request.structured_outputs is None:
            return reply
        assert request.seed is not None
        assert request.structured_outputs == {"regex": list_pattern(4)}
        items = [{"text": self._text(request.seed + j), "probability": 0.5 / (j + 1)} for j in range(4)]
        written = json.dumps(items, ensure_ascii=False)
        if self.num_kept is None:
            return Reply((Completion(written, "stop"),), 10, 60)
        cut = written.split('}, {"text"')[: self.num_kept]
        return Reply((Completion('}, {"text"'.join(cut) + '}, {"text": "犬が', "length"),), 10, 60)


@pytest.mark.parametrize("task", ["jcola", "jnli"])
def test_one_reply_lists_the_texts_of_a_request(composed: Compose, tmp_path: Path, task: str) -> None:
    config = composed(f"task={task}", "synthesis.verbalized=true")
    client = ListingClient()
    assert fill(config, tmp_path, client, 20).is_complete
    openings = [request for request in client.asked if request.structured_outputs is not None]
    assert len(openings) == (5 if config.task.is_pair else 10)
    for request in openings:
        assert (request.n, request.sampling.max_tokens) == (1, 4 * config.llm.sampling.max_tokens)
        assert list_phrase(4) in request.messages[-1]["content"]
    rows = [row for row in StreamRows(tmp_path) if row.turn == 0]
    assert Counter(row.attributes["probability"] for row in rows) == dict.fromkeys(["0.5", "0.25", "0.166667", "0.125"], len(openings))
    assert sum(row.completion_tokens for row in rows) == 60 * len(openings)
    for request in (one for one in client.asked if one.structured_outputs is None):
        assert config.task.is_pair
        assert not any(list_phrase(4) in message["content"] for message in request.messages), "its first turn asked for this sentence"
        assert (request.n, request.sampling) == (1, config.llm.sampling)


def test_lists_that_are_cut_off_give_their_whole_texts(composed: Compose, tmp_path: Path) -> None:
    config = composed("task=jcola", "synthesis.verbalized=true")
    selector = fill(config, tmp_path, ListingClient(num_kept=3), 12)
    assert selector.is_complete
    assert all(selector.rejects(label) == {"truncated": 3} for label in config.task.label_names)
    assert [row.finish_reason for row in sorted(StreamRows(tmp_path), key=lambda row: (row.label, row.index))] == (
        ["stop"] * 3 + ["length"]
    ) * 8


def test_replies_that_are_no_list_are_told_and_kept(composed: Compose, tmp_path: Path) -> None:
    class DeafClient(StubClient):
        async def complete(self, request: Request) -> Reply:
            return replace(await super().complete(request), completions=(Completion("犬が走る。", "stop"),))

    with pytest.raises(GenerationError, match=r"all of the first 4\d replies were rejected as 'not listed'"):
        fill(composed("task=jcola", "synthesis.verbalized=true"), tmp_path, DeafClient(), 50)
    assert {row.text for row in StreamRows(tmp_path)} == {"犬が走る。", ""}


def test_a_list_that_failed_for_good_is_error_rows(composed: Compose, tmp_path: Path) -> None:
    stream = make_stream(composed("task=jcola", "synthesis.verbalized=true"))
    rows = rows_of(stream.ask("acceptable", 4), Reply((Completion("", "error"),), 0, 0, "400: bad"))
    assert [(row.index, row.finish_reason, row.error) for row in rows] == [(index, "error", "400: bad") for index in range(4, 8)]
