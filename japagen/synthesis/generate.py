"""Fills a stream until every label has its texts: asks, appends, judges, and asks for what is still missing.

No barrier stands anywhere: as many requests are open as the client wants, a pair's second turn goes out as soon as its
first sentence is there, and how far a label must go is estimated anew from its acceptance after every reply. What is asked
for never depends on the order in which replies come; that only decides what is asked for first.
"""

import asyncio
import heapq
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from japagen.config import Sampling
from japagen.errors import GenerationError
from japagen.llm.client import Client, Reply, Request
from japagen.replies import Reject
from japagen.synthesis.stream import Ask, Row, Stream, StreamRows

LEAST_BUDGET = 200
"""Replies a label may always take, however small num_per_label is."""
LEAST_ACCEPTANCE = 0.02
"""A label accepted less often than this after LEAST_BUDGET replies stops at once."""


class Selection(Protocol):
    """Which rows become texts; `japagen.curation.select.Selector` is the one there is."""

    def advance(self, rows: StreamRows) -> None: ...
    def is_full(self, label: str) -> bool: ...
    def first_sentence(self, row: Row) -> str | Reject: ...
    def num_judged(self, label: str) -> int: ...
    def num_accepted(self, label: str) -> int: ...
    def next_index(self, label: str) -> int: ...
    def rejects(self, label: str) -> Mapping[str, int]: ...


@dataclass(frozen=True)
class Progress:
    """How far a stream is, for whoever shows it."""

    wanted: int
    accepted: int
    rejected: int
    new_rows: int
    new_tokens: int
    seconds: float

    @property
    def rows_per_s(self) -> float:
        return self.new_rows / self.seconds if self.seconds > 0 else 0.0

    @property
    def tokens_per_s(self) -> float:
        return self.new_tokens / self.seconds if self.seconds > 0 else 0.0


class Generator:
    """One run over one stream."""

    def __init__(
        self, stream: Stream, rows: StreamRows, selection: Selection, sampling: Sampling, num_per_label: int, max_rows_factor: float,
        show: Callable[[Progress], None] = lambda progress: None,
    ) -> None:  # fmt: skip
        self.stream, self.rows, self.selection, self.sampling = stream, rows, selection, sampling
        self.num_per_label = num_per_label
        self.budget = max(LEAST_BUDGET, math.ceil(num_per_label * max_rows_factor))
        self.show = show
        self.labels = stream.task.label_names
        self._next_request: dict[str, int] = dict.fromkeys(["", *self.labels], 0)
        self._ready: dict[str, list[int]] = {label: [] for label in self.labels}
        self._firsts: dict[int, str] = {}
        self.counts: Counter[str] = Counter()
        self._num_open = 0
        """Requests sent and not yet taken from the queue."""
        self._started = time.monotonic()

    async def run(self, client: Client) -> None:
        """Returns once every label is full; GenerationError, with the rejects, when the budget can't give that."""
        self._queue: asyncio.Queue[tuple[Ask, Reply] | BaseException] = asyncio.Queue()
        tasks: set[asyncio.Task[None]] = set()
        for row in list(self.rows):
            self._take_first(row)
        try:
            while not self._is_done():
                while self._num_open < client.limit and (ask := self._next_ask()) is not None:
                    self._num_open += 1
                    task = asyncio.create_task(self._answer(client, ask))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                await self._collect()
                self.show(self.progress())
            while self._num_open:  # paid for already: kept for a larger num_per_label
                await self._collect()
        finally:
            for task in tasks:
                task.cancel()
            self.rows.close()
        self.show(self.progress())

    def progress(self) -> Progress:
        """Counts so far; `new` is what this run made."""
        accepted = sum(self.selection.num_accepted(label) for label in self.labels)
        judged = sum(self.selection.num_judged(label) for label in self.labels)
        seconds = time.monotonic() - self._started
        wanted = self.num_per_label * len(self.labels)
        return Progress(wanted, accepted, judged - accepted, self.counts["rows"], self.counts["tokens"], seconds)

    async def _answer(self, client: Client, ask: Ask) -> None:
        request = Request(list(ask.messages), ask.num_rows, ask.seed, self.sampling, self.stream.identity["llm"]["chat_template_args"])
        try:
            self._queue.put_nowait((ask, await client.complete(request)))
        except Exception as error:  # handed to run(), which raises it
            self._queue.put_nowait(error)

    async def _collect(self) -> None:
        """Waits for one reply and takes all that have come."""
        assert self._num_open, "nothing is open and nothing is left to ask for"
        arrived = [await self._queue.get()]
        while not self._queue.empty():
            arrived.append(self._queue.get_nowait())
        self._num_open -= len(arrived)
        fault = None
        for item in arrived:
            if isinstance(item, BaseException):
                fault = item
                continue
            rows = rows_of(*item)
            self.rows.append(rows)
            self.counts["rows"] += len(rows)
            self.counts["tokens"] += item[1].completion_tokens
            for row in rows:
                self._take_first(row)
        if fault is not None:
            raise fault

    def _take_first(self, row: Row) -> None:
        """A first sentence that stands makes its index ready for every label's second turn."""
        if not self.stream.task.is_pair or row.turn != 0 or row.index in self._firsts:
            return
        text = self.selection.first_sentence(row)
        if isinstance(text, Reject):
            return
        self._firsts[row.index] = text
        for label in self.labels:
            if self.rows.get(label, row.index, 1) is None:
                heapq.heappush(self._ready[label], row.index)

    def _is_done(self) -> bool:
        self.selection.advance(self.rows)
        for label in self.labels:
            if not self.selection.is_full(label):
                self._check_budget(label)
        return all(self.selection.is_full(label) for label in self.labels)

    def _check_budget(self, label: str) -> None:
        judged, accepted = self.selection.num_judged(label), self.selection.num_accepted(label)
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
            for label in sorted(self.labels, key=lambda name: self._next_request[name]):
                ask = self._next_opening(label, self._target(label))
                if ask is not None:
                    return ask
            return None
        for label in sorted(self.labels, key=lambda name: self._ready[name][0] if self._ready[name] else math.inf):
            ready = self._ready[label]
            if ready and ready[0] < self._target(label):
                index = heapq.heappop(ready)
                return self.stream.second_ask(label, index, self._firsts[index])
        return self._next_opening("", max(self._target(label) for label in self.labels))

    def _next_opening(self, label: str, target: int) -> Ask | None:
        """The next request of turn 0 below `target` that isn't on disk already."""
        n = self.stream.texts_per_request
        while (first := self._next_request[label] * n) < target:
            self._next_request[label] += 1
            if any(self.rows.get(label, first + j, 0) is None for j in range(n)):
                return self.stream.ask(label, first)
        return None


def rows_of(ask: Ask, reply: Reply) -> list[Row]:
    """The rows that a reply becomes; a request that failed for good is rows too, so that prefixes complete."""
    rows = []
    for j, (label, index, turn) in enumerate(ask.places):
        completion = reply.completions[j]
        tokens = (reply.prompt_tokens, reply.completion_tokens) if j == 0 else (0, 0)
        rows.append(
            Row(index, label, turn, completion.text, completion.finish_reason, *tokens, ask.seed + j, dict(ask.attributes), reply.error)
        )
    return rows
