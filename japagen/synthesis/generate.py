"""Fills a stream until every label has its texts: asks, appends, judges, and asks for what is still missing.

There is no barrier: as many requests are open as the client wants, a pair's second turn goes out as soon as its
first sentence is there, and how far a label must go is estimated anew from its acceptance after every reply. What is asked
for never depends on the order in which replies come; that only decides what is asked for first.

Several processes may fill one stream: each asks only for rows of blocks that it claimed (`japagen.synthesis.claims`), takes
in what the others write about once a second, and waits for them where nothing else is left to ask for.
"""

import asyncio
import heapq
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from japagen.config.llm import Sampling
from japagen.errors import GenerationError
from japagen.llm.client import Client, Reply, Request
from japagen.prompts.replies import Reject
from japagen.prompts.verbalized import Listed, list_pattern, read_list
from japagen.store.rowsfile import StreamRow, StreamRows
from japagen.synthesis.claims import Claims
from japagen.synthesis.futility import describe_futility, futile_reason
from japagen.synthesis.limits import Meter
from japagen.synthesis.stream import Ask, Stream

LEAST_BUDGET = 200
"""Replies a label may always take, however small num_per_label is."""
LEAST_ACCEPTANCE = 0.02
"""A label accepted less often than this after LEAST_BUDGET replies stops at once."""
REFRESH_S = 1.0
"""How often rows of other writers are taken in, and others looked at that hold what we could ask for."""
SHOW_S = 0.1
"""How often progress is shown."""


class RowSelector(Protocol):
    """Which rows become texts; `japagen.curation.select.Selector` judges them."""

    def advance(self, rows: StreamRows) -> None: ...
    def is_full(self, label: str) -> bool: ...
    def first_sentence(self, row: StreamRow) -> str | Reject: ...
    def num_judged(self, label: str) -> int: ...
    def num_accepted(self, label: str) -> int: ...
    def next_index(self, label: str) -> int: ...
    def rejects(self, label: str) -> Mapping[str, int]: ...
    def reasons(self, label: str) -> Mapping[str, int]: ...
    def rejected_texts(self, label: str) -> Sequence[str]: ...


class FirstReplies:
    """The selection that ends a stream's filling at `num` judged replies per label, accepted or not."""

    def __init__(self, selection: RowSelector, num: int) -> None:
        self._selection, self._num = selection, num

    def advance(self, rows: StreamRows) -> None:
        self._selection.advance(rows)

    def is_full(self, label: str) -> bool:
        return self._selection.is_full(label) or self.num_judged(label) >= self._num

    def first_sentence(self, row: StreamRow) -> str | Reject:
        return self._selection.first_sentence(row)

    def num_judged(self, label: str) -> int:
        return self._selection.num_judged(label)

    def num_accepted(self, label: str) -> int:
        """The number of judged replies: rejected ones count too, so no more are asked for in their place."""
        return self._selection.num_judged(label)

    def next_index(self, label: str) -> int:
        return self._selection.next_index(label)

    def rejects(self, label: str) -> Mapping[str, int]:
        return self._selection.rejects(label)

    def reasons(self, label: str) -> Mapping[str, int]:
        return self._selection.reasons(label)

    def rejected_texts(self, label: str) -> Sequence[str]:
        return self._selection.rejected_texts(label)


@dataclass(frozen=True)
class StreamProgress:
    """How far a stream is, for whoever shows it."""

    wanted: int
    accepted: int
    rejected: int
    new_rows: int
    new_tokens: int
    """Of replies."""
    seconds: float
    commonest: str = ""
    """The commonest reason for rejecting, and its count; '' where nothing was rejected."""
    new_prompt_tokens: int = 0

    @property
    def rows_per_s(self) -> float:
        return self.new_rows / self.seconds if self.seconds > 0 else 0.0

    @property
    def tokens_per_s(self) -> float:
        return self.new_tokens / self.seconds if self.seconds > 0 else 0.0


class Generator:
    """One run over one stream."""

    def __init__(
        self, stream: Stream, rows: StreamRows, selection: RowSelector, sampling: Sampling, num_per_label: int, max_rows_factor: float,
        show: Callable[[StreamProgress], None] = lambda progress: None, claims: Claims | None = None,
        meter: Meter | None = None,
    ) -> None:  # fmt: skip
        self.stream, self.rows, self.selection, self.sampling = stream, rows, selection, sampling
        self.claims = claims
        """None where nobody else writes."""
        self.meter = meter
        """None where nothing limits tokens and cost."""
        self.num_per_label = num_per_label
        self.budget = max(LEAST_BUDGET, math.ceil(num_per_label * max_rows_factor))
        self.show = show
        self.labels = stream.task.label_names
        self._frontier: dict[str, int] = dict.fromkeys(["", *self.labels], 0)
        """Where the requests of turn 0 begin that were not looked at yet."""
        self._openings: dict[str, list[int]] = {label: [0] for label in self._frontier}
        """Heaps of first indices of requests of turn 0 to look at: the frontier, and those put off before."""
        self._ready: dict[str, list[int]] = {label: [] for label in self.labels}
        self._put_off: list[tuple[list[int], int]] = []
        """(heap it came from, index) of what others have claimed."""
        self._firsts: dict[int, str] = {}
        """First sentences by index, as long as a second turn may still be asked for."""
        self._num_forgotten = dict.fromkeys(self._frontier, 0)
        """Indices below these are judged, and their rows no longer in memory."""
        self.counts: Counter[str] = Counter()
        self._num_open = 0
        """Requests sent and not yet taken from the queue."""
        self._started = time.monotonic()

    async def run(self, client: Client) -> None:
        """Returns once every label is full; GenerationError, with the rejects, when the budget can't give that."""
        self._queue: asyncio.Queue[tuple[Ask, Reply] | frozenset[str] | BaseException] = asyncio.Queue()
        tasks: set[asyncio.Task[None]] = set()
        if self.claims is not None:
            tasks.add(asyncio.create_task(self._look_at_others(self.claims)))
        self._take_firsts(list(self.rows))
        shown = time.monotonic()
        try:
            while not self._is_done():
                num_known = len(self.rows)
                while self._num_open < client.limit and self._has_room() and (ask := self._next_ask()) is not None:
                    self._num_open += 1
                    task = asyncio.create_task(self._answer(client, ask))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                if not self._num_open:
                    if len(self.rows) > num_known:
                        continue  # as we claimed a block: others had written it by then
                    self.rows.write_held()  # those we wait for may wait for these
                    self._check_limit()
                await self._collect()
                if time.monotonic() - shown >= SHOW_S:
                    shown = time.monotonic()
                    self.show(self.progress())
            while self._num_open:  # paid for already: kept for a larger num_per_label
                await self._collect()
            self.rows.write_held()
        finally:
            for task in tasks:
                task.cancel()
            self.rows.close()
            self.show(self.progress())

    def progress(self) -> StreamProgress:
        """Counts so far; `new` is what this run made."""
        accepted = sum(self.selection.num_accepted(label) for label in self.labels)
        judged = sum(self.selection.num_judged(label) for label in self.labels)
        seconds = time.monotonic() - self._started
        wanted = self.num_per_label * len(self.labels)
        reasons = sum((Counter(self.selection.reasons(label)) for label in self.labels), Counter[str]()).most_common(1)
        commonest = " ".join(map(str, reasons[0])) if reasons else ""
        rows, tokens, prompt_tokens = (self.counts[name] for name in ("rows", "tokens", "prompt tokens"))
        return StreamProgress(wanted, accepted, judged - accepted, rows, tokens, seconds, commonest, prompt_tokens)

    def _has_room(self) -> bool:
        return self.meter is None or self.meter.leaves_room(self._num_open)

    def _check_limit(self) -> None:
        """Raises LimitError where nothing is open and no more may be asked for."""
        if not self._has_room():
            assert self.meter is not None
            done = self.progress()
            raise self.meter.limit_error(f"task {self.stream.task.name!r}, texts", done.accepted, done.wanted)

    async def _answer(self, client: Client, ask: Ask) -> None:
        request = request_of(ask, self.sampling, self.stream.identity["llm"]["chat_template_args"])
        try:
            self._queue.put_nowait((ask, await client.complete(request)))
        except Exception as error:  # handed to run(), which raises it
            self._queue.put_nowait(error)

    async def _look_at_others(self, claims: Claims) -> None:
        """Has the queue say about once a second which other writers are gone; mostly none."""
        try:
            while True:
                await asyncio.sleep(REFRESH_S)
                self._queue.put_nowait(await asyncio.to_thread(claims.gone, claims.rivals))
        except Exception as error:
            self._queue.put_nowait(error)

    async def _collect(self) -> None:
        """Waits for a reply, or the next look at others, and takes all that have come."""
        assert self._num_open or self._put_off, "nothing is open and nothing is left to ask for"
        arrived = [await self._queue.get()]
        while not self._queue.empty():
            arrived.append(self._queue.get_nowait())
        fault = None
        replies: list[tuple[Ask, Reply]] = []
        looks: list[frozenset[str]] = []
        for item in arrived:
            if isinstance(item, BaseException):
                fault = item
            elif isinstance(item, frozenset):
                looks.append(item)
            else:
                replies.append(item)
        self._take(replies)
        for gone in looks:
            self._follow_others(gone)
        if fault is not None:
            raise fault

    def _take(self, replies: Sequence[tuple[Ask, Reply]]) -> None:
        self._num_open -= len(replies)
        rows = [row for ask, reply in replies for row in rows_of(ask, reply)]
        self.rows.append(rows)
        self.counts["rows"] += len(rows)
        self.counts["tokens"] += sum(reply.completion_tokens for _, reply in replies)
        self.counts["prompt tokens"] += sum(reply.prompt_tokens for _, reply in replies)
        for _, reply in replies:
            if self.meter is not None:
                self.meter.check_reported(reply.prompt_tokens + reply.completion_tokens, reply.error)
        self._take_firsts(rows)

    def _follow_others(self, gone: frozenset[str]) -> None:
        """Takes in what others wrote; what was put off for those who are gone is looked at again."""
        self._take_firsts(self.rows.refresh())
        if gone and self.claims is not None:
            self.claims.forget(gone)
            for heap, index in self._put_off:
                heapq.heappush(heap, index)
            self._put_off.clear()

    def _take_firsts(self, rows: Iterable[StreamRow]) -> None:
        """An accepted first sentence makes its index ready for every label's second turn."""
        if not self.stream.task.is_pair:
            return
        for row in rows:
            if row.turn != 0 or row.index in self._firsts or isinstance(text := self.selection.first_sentence(row), Reject):
                continue
            self._firsts[row.index] = text
            for label in self.labels:
                if not self.rows.has((label, row.index, 1)):
                    heapq.heappush(self._ready[label], row.index)

    def _is_done(self) -> bool:
        self.selection.advance(self.rows)
        self._forget_judged()
        for label in self.labels:
            if not self.selection.is_full(label):
                self._check_budget(label)
        return all(self.selection.is_full(label) for label in self.labels)

    def _forget_judged(self) -> None:
        judged = {label: self.selection.next_index(label) for label in self.labels}
        turn = int(self.stream.task.is_pair)
        if turn:
            judged[""] = min(judged.values())
        for label, past in judged.items():
            for index in range(self._num_forgotten[label], past):
                self.rows.forget((label, index, turn if label else 0))
                if not label:
                    self._firsts.pop(index, None)
            self._num_forgotten[label] = past

    def _check_budget(self, label: str) -> None:
        judged, accepted = self.selection.num_judged(label), self.selection.num_accepted(label)
        if not accepted and (reason := futile_reason(judged, self.selection.reasons(label))) is not None:
            what = describe_futility(reason, judged, self.selection.rejected_texts(label))
            raise GenerationError(
                f"task {self.stream.task.name!r}, label {label!r}: {what}. The replies made so far stay in"
                f" {self.rows.folder}, and the next run reads them again"
            )
        if judged >= LEAST_BUDGET and accepted < LEAST_ACCEPTANCE * judged:
            self._give_up(label, f"only {accepted} of {judged} replies were accepted")
        if judged >= self.budget:
            self._give_up(label, f"{accepted} of {self.num_per_label} texts were accepted within the budget of {self.budget} replies")

    def _give_up(self, label: str, what: str) -> None:
        rejects = ", ".join(f"{reason} {count}" for reason, count in Counter(self.selection.rejects(label)).most_common())
        raise GenerationError(
            f"task {self.stream.task.name!r}, label {label!r}: {what} (rejected: {rejects or 'none'}). The replies made so far stay in"
            f" {self.rows.folder}; look at them, then change the prompt or the LLM, or raise synthesis.max_rows_factor"
        )

    def _target(self, label: str) -> int:
        """Indices below this one are worth asking for, judged by the label's acceptance so far."""
        if self.selection.is_full(label):
            return 0
        judged, accepted = self.selection.num_judged(label), self.selection.num_accepted(label)
        missing = self.num_per_label - accepted
        return self.selection.next_index(label) + min(math.ceil(missing * (judged + 1) / (accepted + 1)), self.budget - judged)

    def _next_ask(self) -> Ask | None:
        if not self.stream.task.is_pair:
            for label in sorted(self.labels, key=lambda name: self._openings[name][0]):
                ask = self._next_opening(label, self._target(label))
                if ask is not None:
                    return ask
            return None
        for label in sorted(self.labels, key=lambda name: self._ready[name][0] if self._ready[name] else math.inf):
            ask = self._next_second(label, self._target(label))
            if ask is not None:
                return ask
        return self._next_opening("", max(self._target(label) for label in self.labels))

    def _next_second(self, label: str, target: int) -> Ask | None:
        """The next request of turn 1 below `target` whose first sentence is accepted."""
        ready = self._ready[label]
        while ready and ready[0] < target:
            index = heapq.heappop(ready)
            if self._is_ours("", ready, index, lambda index: not self.rows.has((label, index, 1))):
                return self.stream.second_ask(label, index, self._firsts[index])
        return None

    def _next_opening(self, label: str, target: int) -> Ask | None:
        """The next request of turn 0 below `target` that isn't on disk already."""
        n, openings = self.stream.texts_per_request, self._openings[label]

        def is_missing(first: int) -> bool:
            return any(not self.rows.has((label, first + j, 0)) for j in range(n))

        while openings[0] < target:
            first = heapq.heappop(openings)
            if first == self._frontier[label]:
                self._frontier[label] += n
                heapq.heappush(openings, self._frontier[label])
            if self._is_ours(label, openings, first, is_missing):
                return self.stream.ask(label, first)
        return None

    def _is_ours(self, label: str, heap: list[int], index: int, is_missing: Callable[[int], bool]) -> bool:
        """Whether to ask for what is missing at `index`; it is put off where another writer has claimed it."""
        if not is_missing(index):
            return False
        if self.claims is None or self.claims.owns(label, index):
            return True
        if not self.claims.take(label, index):
            self._put_off.append((heap, index))
            return False
        self._take_firsts(self.rows.refresh())  # whoever had the block until now may have written since we looked
        return is_missing(index)


def request_of(ask: Ask, sampling: Sampling, chat_template_args: dict[str, Any]) -> Request:
    """What is sent for `ask`; a reply that lists k texts may be k times as long."""
    if ask.temperature is not None:
        sampling = replace(sampling, temperature=ask.temperature)
    if not ask.verbalized:
        return Request(list(ask.messages), ask.num_rows, ask.seed, sampling, chat_template_args, stop=ask.stop)
    sampling = replace(sampling, max_tokens=ask.num_rows * sampling.longest)
    form = {"regex": list_pattern(ask.num_rows)}
    return Request(list(ask.messages), 1, ask.seed, sampling, chat_template_args, form, stop=ask.stop)


def rows_of(ask: Ask, reply: Reply) -> list[StreamRow]:
    """The rows that a reply becomes; a request that failed for good is rows too, so that prefixes complete."""
    if ask.verbalized:
        texts = read_list(reply.completions[0].text, reply.completions[0].finish_reason, ask.num_rows)
    else:
        texts = [Listed(completion.text, completion.finish_reason) for completion in reply.completions]
    rows = []
    for j, ((label, index, turn), listed) in enumerate(zip(ask.positions, texts, strict=True)):
        tokens = (reply.prompt_tokens, reply.completion_tokens) if j == 0 else (0, 0)
        seed = ask.seed if ask.verbalized else ask.seed + j
        attributes = ask.attributes | listed.attributes if listed.attributes else ask.attributes
        error = reply.error if listed.finish_reason == "error" else ""
        rows.append(StreamRow(index, label, turn, listed.text, listed.finish_reason, *tokens, seed, attributes, error))
    return rows
