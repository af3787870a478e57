"""How many requests are open at once: a gate whose width is fixed, or found by watching the throughput.

Finding it: the width starts at 64 and is doubled as long as a window's completions per second beat the best window so far
by 5%. Where two windows in a row don't, the width that gave the best one stays. One window may mislead (other work on the
machine, a stream whose requests change), so after a rest of 8 windows the next width is tried once more, against the mean of
the rest, then after 16, and ever more seldom. A refusal (429, 503) halves the width, at most once per second, and from then
on it is raised by quarters. A window is as many requests as the width (at least 32) and half a second; the requests that
were open when the width changed belong to none, and a window in which the callers left more than a quarter of the width
unused decides nothing. A width above the best costs little (the server queues), one below it costs throughput: so the
search goes up in large steps, and where noise decides, it ends too wide rather than too narrow.
"""

import asyncio
import time
from collections import deque

START = 64
MOST = 512
GAIN = 1.05
MIN_WINDOW_REQUESTS = 32
MIN_WINDOW_S = 0.5
FILLED = 0.75
"""Least share of the width that a full window uses, averaged over its replies: replies that arrive together leave slots empty briefly."""
FIRST_REST = 8
"""Windows until a width is questioned for the first time."""


class Pace:
    """An async context manager round one request; `limit` is the width now."""

    def __init__(self, concurrency: int | None) -> None:
        self.limit = concurrency or START
        self.num_open = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._adapts = concurrency is None
        self._doubling = True
        self._best_rate, self._best_limit = 0.0, self.limit
        self._stale_windows = 0
        self._rest, self._num_rested = FIRST_REST, 0
        self._shrunk_at = 0.0
        self._begin_window(self.limit)

    async def __aenter__(self) -> None:
        """Waits for a slot, in order of arrival."""
        if self.num_open < self.limit and not self._waiting:
            self.num_open += 1
            return
        slot: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(slot)
        try:
            await slot
        except asyncio.CancelledError:
            if slot.done() and not slot.cancelled():  # it was handed to us as we were cancelled
                self._leave()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    def _leave(self) -> None:
        self.num_open -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.num_open < self.limit:
            slot = self._waiting.popleft()
            if not slot.done():
                self.num_open += 1
                slot.set_result(None)

    def completed(self, num_completions: int) -> None:
        """Counts a request that gave `num_completions`; called while it still holds its slot."""
        if not self._adapts:
            return
        if self._to_skip > 0:
            self._to_skip -= 1
            if self._to_skip == 0:
                self._window_start = time.monotonic()
            return
        self._num_requests += 1
        self._num_completions += num_completions
        self._sum_open += self.num_open
        elapsed_s = time.monotonic() - self._window_start
        if self._num_requests < max(self.limit, MIN_WINDOW_REQUESTS) or elapsed_s < MIN_WINDOW_S:
            return
        before = self.limit
        if self._sum_open >= FILLED * self.limit * self._num_requests:
            self._decide(self._num_completions / elapsed_s)
        self._begin_window(self.limit if self.limit != before else 0)

    def overloaded(self) -> None:
        """Counts a refusal for load."""
        now = time.monotonic()
        if not self._adapts or now - self._shrunk_at < 1.0:
            return
        self._shrunk_at = now
        self.limit = max(1, self.limit // 2)
        self._doubling = False
        self._best_rate, self._best_limit, self._stale_windows = 0.0, self.limit, 0
        self._begin_window(self.limit)

    def _begin_window(self, to_skip: int) -> None:
        self._to_skip = to_skip
        self._num_requests = self._num_completions = self._sum_open = 0
        self._window_start = time.monotonic()

    def _decide(self, rate: float) -> None:
        """Takes a window's completions per second into account."""
        if self._stale_windows == 2:  # at rest
            self._num_rested += 1
            self._best_rate += (rate - self._best_rate) / self._num_rested
            if self._num_rested < self._rest or self.limit == MOST:
                return
            self._rest *= 2
            self._stale_windows = 1
        elif rate > self._best_rate * GAIN:
            self._best_rate, self._best_limit, self._stale_windows = rate, self.limit, 0
        else:
            self._stale_windows += 1
            if self._stale_windows == 2:
                self.limit, self._num_rested = self._best_limit, 0
                return
        step = self.limit if self._doubling else max(1, self.limit // 4)
        self.limit = min(MOST, self.limit + step)
        self._admit()
