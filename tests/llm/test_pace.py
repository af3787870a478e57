"""The search for a width, against a simulated server: it takes 1 s for a request, and longer once it is full."""

import asyncio
import heapq
from collections import Counter

import pytest

from japagen.llm import pace as pace_module
from japagen.llm.pace import MOST, START, Pace


class Clock:
    now = 0.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pace_module.time, "monotonic", lambda: clock.now)
    return clock


async def simulate(
    pace: Pace, clock: Clock, capacity: int, num_requests: int, refuse_above: int = 10_000, burst: int = 1, quick_until_s: float = 0.0
) -> list[int]:
    """Keeps the width filled; requests last max(1 s, open / capacity). The width after each request.

    `burst` replies come at once, before the caller fills the width again. Until `quick_until_s` all is four times as quick.
    """
    widths: list[int] = []
    running: list[tuple[float, int]] = []
    sent = 0
    while len(widths) < num_requests:
        while pace.num_open < pace.limit:
            await pace.__aenter__()
            sent += 1
            # spread, as real replies are
            lasts_s = max(1.0, pace.num_open / capacity) * (0.9 + 0.2 * (sent * 0.618 % 1)) / (4 if clock.now < quick_until_s else 1)
            heapq.heappush(running, (clock.now + lasts_s, sent))
        for _ in range(min(burst, len(running))):
            clock.now = max(clock.now, heapq.heappop(running)[0])
            if pace.num_open > refuse_above:
                pace.overloaded()
            else:
                pace.completed(8)
            await pace.__aexit__()
            widths.append(pace.limit)
    return widths


@pytest.mark.parametrize("burst", [1, 8])
@pytest.mark.parametrize("capacity", [4, 16, 50, 100, 300])
def test_width_settles_near_what_the_server_takes(capacity: int, burst: int, clock: Clock) -> None:
    widths = asyncio.run(simulate(Pace(None), clock, capacity, 20_000, burst=burst))
    usual = Counter(widths[-10_000:]).most_common(1)[0][0]
    assert max(START, 0.85 * capacity) <= usual <= 4 * max(START, capacity)


def test_a_width_at_rest_is_questioned_ever_more_seldom(clock: Clock) -> None:
    widths = asyncio.run(simulate(Pace(None), clock, 100, 100_000))
    changes = [number for number in range(1, len(widths)) if widths[number] != widths[number - 1]]
    assert len(changes) <= 30
    assert changes[-1] > 10_000, "never questioned again"


def test_a_width_that_a_quick_beginning_held_back_grows_later(clock: Clock) -> None:
    widths = asyncio.run(simulate(Pace(None), clock, 200, 20_000, quick_until_s=1.2))
    assert max(widths[:500]) <= 4 * START, "the beginning did not mislead"
    assert Counter(widths[-10_000:]).most_common(1)[0][0] >= 170


def test_width_ends_at_the_cap(clock: Clock) -> None:
    widths = asyncio.run(simulate(Pace(None), clock, 100_000, 20_000))
    assert max(widths) == widths[-1] == MOST


def test_width_follows_refusals(clock: Clock) -> None:
    widths = asyncio.run(simulate(Pace(None), clock, 100_000, 20_000, refuse_above=60))
    assert max(widths[-5000:]) <= 100
    assert min(widths[-5000:]) >= 20


def test_width_stays_where_callers_do_not_fill_it(clock: Clock) -> None:
    async def body() -> None:
        pace = Pace(None)
        for _ in range(5000):
            async with pace:
                clock.now += 0.1
                pace.completed(1)
        assert pace.limit == START

    asyncio.run(body())


def test_a_given_width_never_changes(clock: Clock) -> None:
    pace = Pace(5)
    assert set(asyncio.run(simulate(pace, clock, 100, 2000, refuse_above=4))) == {5}
