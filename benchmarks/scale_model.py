"""A sweep's units on a cluster, played through: server starts, blocks claimed, slow nodes, preemption, students after their LLM's jobs.

In: units of work as the planner makes them, with what each costs. Out: when everything is done, and where the time went. Discrete events;
the same seed gives the same answer. The rules are japagen's: shards of an LLM unit fill its streams one after the other, claim blocks of
them, and wait at a stream's end for each other; a preempted job loses its open requests only, gives its blocks back and starts its
server again; a student waits for all jobs of its LLM unit. `claiming=False` is what is usual instead: a fixed part of each stream for
each shard. Left out: acceptance that varies, requests of different lengths, preempted students, other users of the cluster.
"""

import heapq
import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

OPEN_ROWS = 512
"""Rows that a shard has open: 256 in the engine at once, as many waiting there. With its rows a second they make the time
that a row takes."""


@dataclass(frozen=True)
class Stream:
    """What an LLM unit is to write."""

    blocks: tuple[int, ...]
    """Rows of each."""
    rows_per_s: float
    """Rows a second of one shard at full speed."""


@dataclass(frozen=True)
class Work:
    """A unit as planned: an LLM unit with its shards (a job each), or a student."""

    id: str
    streams: tuple[Stream, ...] = ()
    num_shards: int = 1
    seconds: float = 0.0
    """A student's running time."""
    needs: str = ""
    """The LLM unit that writes a student's texts."""
    gpus: int = 1


@dataclass(frozen=True)
class Cluster:
    """Where they run."""

    num_gpus: int
    server_start_s: float
    requeue_s: float = 300.0
    """From a preemption to the job's next start, where a GPU is free."""
    preempted_every_h: float | None = None
    """Mean of each LLM job's running time up to its next preemption (exponential)."""
    slow_share: float = 0.0
    """Share of the jobs' starts that find a slow node."""
    slowness: float = 0.5
    """Speed of a slow node."""


@dataclass
class Outcome:
    """What came of it."""

    wall_s: float = 0.0
    llm_s: float = 0.0
    """When the last LLM job was over."""
    gpu_s: float = 0.0
    """GPUs held, all jobs."""
    waiting_gpu_s: float = 0.0
    """GPUs held by shards that waited for others at a stream's end."""
    num_starts: int = 0
    """Starts of servers."""
    num_preemptions: int = 0
    lost_rows: int = 0
    """Asked for, and lost with their job."""
    made_rows: int = 0


@dataclass
class _Claim:
    rows: int
    since: float
    free: float
    """When the next block can be claimed: all of this one is asked for."""


@dataclass(eq=False)
class _Job:
    work: Work
    shard: int
    speed: float = 1.0
    life: int = 0
    """Raised when it stops: events of an earlier life mean nothing."""
    started: float = 0.0
    stream: int = 0
    claims: list[_Claim] = field(default_factory=list)
    will_ask: bool = False
    """Whether a time is set at which it goes on."""
    waits_since: float | None = None
    """Has asked for all that it may, and got it."""


class _Unit:
    """An LLM unit's blocks: one heap a stream, or one for each shard."""

    def __init__(self, work: Work, claiming: bool) -> None:
        self.jobs: list[_Job] = []
        self.claiming = claiming
        self.pools: list[list[list[int]]] = []
        self.left = [sum(stream.blocks) for stream in work.streams]
        for stream in work.streams:
            if claiming:
                self.pools.append([list(stream.blocks[::-1])])
            else:
                part = sum(stream.blocks) / work.num_shards
                edges = [round(number * part) for number in range(work.num_shards + 1)]
                self.pools.append([[high - low] for low, high in itertools.pairwise(edges)])

    def pool(self, job: _Job) -> list[int]:
        return self.pools[job.stream][0 if self.claiming else job.shard]

    @property
    def is_done(self) -> bool:
        return not any(self.left)


class Simulation:
    """One play; `run` gives its outcome."""

    def __init__(self, works: Sequence[Work], cluster: Cluster, seed: int = 0, claiming: bool = True) -> None:
        self.cluster, self.rng, self.outcome = cluster, random.Random(seed), Outcome()
        self.now, self.free = 0.0, cluster.num_gpus
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._ids = itertools.count()
        self._units = {work.id: _Unit(work, claiming) for work in works if work.streams}
        self._unfinished = {work.id: work.num_shards for work in works if work.streams}
        self._queue = [_Job(work, shard) for work in works for shard in range(work.num_shards)]

    def run(self) -> Outcome:
        """Plays all events."""
        self._schedule()
        while self._events:
            self.now, _, act = heapq.heappop(self._events)
            act()
        assert not self._queue, "a job needs more GPUs than there are"
        return self.outcome

    def _at(self, when: float, act: Callable[[], None], job: _Job | None = None) -> None:
        """`act` at that time, unless the job was stopped by then."""
        life = job.life if job else 0

        def guarded() -> None:
            if job is None or job.life == life:
                act()

        heapq.heappush(self._events, (when, next(self._ids), guarded))

    def _schedule(self) -> None:
        """Starts, in the queue's order, every job that fits and has what it needs."""
        if not self.free:
            return
        left = []
        for job in self._queue:
            if self.free >= job.work.gpus and not self._unfinished.get(job.work.needs, 0):
                self._start(job)
            else:
                left.append(job)
        self._queue = left

    def _start(self, job: _Job) -> None:
        self.free -= job.work.gpus
        job.started = self.now
        if not job.work.streams:
            self._at(self.now + job.work.seconds, lambda: self._end(job), job)
            return
        unit = self._units[job.work.id]
        if unit.is_done:
            self._at(self.now, lambda: self._end(job), job)
            return
        job.speed = self.cluster.slowness if self.rng.random() < self.cluster.slow_share else 1.0
        self.outcome.num_starts += 1
        unit.jobs.append(job)
        self._go_on_at(self.now + self.cluster.server_start_s, job)
        if self.cluster.preempted_every_h is not None:
            self._at(self.now + self.rng.expovariate(1 / (3600 * self.cluster.preempted_every_h)), lambda: self._preempt(job), job)

    def _rate(self, job: _Job) -> float:
        return job.work.streams[job.stream].rows_per_s * job.speed

    def _latency(self, job: _Job) -> float:
        return OPEN_ROWS / self._rate(job)

    def _go_on_at(self, when: float, job: _Job) -> None:
        job.will_ask = True
        self._at(when, lambda: self._go_on(job), job)

    def _go_on(self, job: _Job) -> None:
        """Claims the stream's next block; where there is none, the next stream's, once this one is complete."""
        unit = self._units[job.work.id]
        job.will_ask = False
        self._end_wait(job)
        while job.stream < len(unit.left) and (not unit.left[job.stream] or self._is_through(job)):
            job.stream += 1
        if job.stream == len(unit.left):
            self._end(job)
        elif pool := unit.pool(job):
            rows = pool.pop()
            claim = _Claim(rows, self.now, self.now + rows / self._rate(job))
            job.claims.append(claim)
            self._go_on_at(claim.free, job)
            self._at(claim.free + self._latency(job), lambda: self._store(job, claim), job)
        elif not job.claims:
            job.waits_since = self.now

    def _is_through(self, job: _Job) -> bool:
        """Whether a job with a part of its own has done that part of this stream."""
        unit = self._units[job.work.id]
        return not unit.claiming and not unit.pool(job) and not job.claims

    def _end_wait(self, job: _Job) -> None:
        if job.waits_since is not None:
            self.outcome.waiting_gpu_s += (self.now - job.waits_since) * job.work.gpus
            job.waits_since = None

    def _store(self, job: _Job, claim: _Claim) -> None:
        """All of a block's rows are there."""
        job.claims.remove(claim)
        self._made(job, claim.rows)
        if not job.will_ask:
            self._go_on(job)

    def _made(self, job: _Job, rows: int) -> None:
        unit = self._units[job.work.id]
        unit.left[job.stream] -= rows
        self.outcome.made_rows += rows
        if not unit.left[job.stream]:
            self._wake(unit)

    def _wake(self, unit: _Unit) -> None:
        """Waiting jobs look again: a stream is complete, or blocks are free again."""
        for job in unit.jobs:
            if not job.will_ask:
                self._go_on_at(self.now, job)

    def _preempt(self, job: _Job) -> None:
        """What is answered stays; the rest of its blocks goes back, and the job into the queue."""
        unit = self._units[job.work.id]
        for claim in job.claims:
            rate = self._rate(job)
            asked = min(claim.rows, int((self.now - claim.since) * rate))
            stored = min(claim.rows, max(0, int((self.now - claim.since - self._latency(job)) * rate)))
            self.outcome.lost_rows += asked - stored
            if claim.rows > stored:
                unit.pool(job).append(claim.rows - stored)
            self._made(job, stored)
        self.outcome.num_preemptions += 1
        self._stop(job)
        self._wake(unit)
        self._at(self.now + self.cluster.requeue_s, lambda: self._requeue(job))
        self._schedule()

    def _requeue(self, job: _Job) -> None:
        self._queue.append(job)
        self._schedule()

    def _stop(self, job: _Job) -> None:
        self._end_wait(job)
        job.life += 1
        job.claims, job.will_ask = [], False
        self.free += job.work.gpus
        self.outcome.gpu_s += (self.now - job.started) * job.work.gpus
        if job.work.streams and job in self._units[job.work.id].jobs:
            self._units[job.work.id].jobs.remove(job)

    def _end(self, job: _Job) -> None:
        self._stop(job)
        self.outcome.wall_s = self.now
        if job.work.streams:
            self._unfinished[job.work.id] -= 1
            self.outcome.llm_s = self.now
        self._schedule()
