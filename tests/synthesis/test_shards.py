"""Several writers of one stream: the same rows as one alone would write, each once, and nobody's death loses or blocks any."""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from japagen.config.composition import compose_config
from japagen.config.schema import Config
from japagen.curation.select import Selector
from japagen.errors import GenerationError, ServerError
from japagen.experiments.experiment import Experiment
from japagen.experiments.planning import plan_experiment
from japagen.experiments.stages import fill as fill_stage
from japagen.experiments.stages import is_complete, llm_seconds
from japagen.llm.client import Client, Completion, Reply, Request
from japagen.llm.endpoint import Endpoint
from japagen.store.rowsfile import Position, StreamRows, read_rows
from japagen.store.store import Store
from japagen.synthesis import generate
from japagen.synthesis.claims import Claims
from japagen.synthesis.generate import Generator
from tests.conftest import Compose
from tests.stubs.lock_owners import orphan
from tests.stubs.streams import cut, fill, make_stream
from tests.stubs.stub_client import StubClient
from tests.stubs.stub_llm import Messages, StubLLM, serving, some_text
from tests.stubs.waiting import eventually


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "REFRESH_S", 0.01)


class Shard:
    """A writer with claims, over a stub."""

    def __init__(self, config: Config, root: Path, client: Any, num: int, factor: float = 5.0) -> None:
        store, stream = Store(root), make_stream(config)
        self.claims, self.client = Claims(store, stream), client
        folder = store.path("stream", stream.key)
        folder.mkdir(parents=True, exist_ok=True)
        selector = Selector(config.task, config.curate, num)
        self.generator = Generator(stream, StreamRows(folder), selector, config.llm.sampling, num, factor, claims=self.claims)

    async def run(self) -> None:
        with self.claims:
            await self.generator.run(self.client)


def run_together(*shards: Shard) -> list[BaseException | None]:
    """Their faults, None of those that end well."""

    async def gather() -> list[BaseException | None]:
        return await asyncio.gather(*(shard.run() for shard in shards), return_exceptions=True)

    return asyncio.run(asyncio.wait_for(gather(), 60))


def folder_of(root: Path) -> Path:
    return Store(root).path("stream", "key")


def written(folder: Path) -> list[Position]:
    """Places of all rows of all files."""
    return [row.position for path in sorted(folder.glob("rows-*")) for row in read_rows(path)]


@pytest.mark.parametrize("task", ["jcola", "jnli"])
def test_who_is_alone_asks_as_without_claims(composed: Compose, tmp_path: Path, task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "REFRESH_S", 60.0)  # a look at others moves replies between two wakings of the loop
    config = composed(f"task={task}")
    alone, claiming = StubClient(1, 0.3), StubClient(1, 0.3)
    (tmp_path / "alone").mkdir()
    fill(config, tmp_path / "alone", alone, 100)
    assert run_together(Shard(config, tmp_path, claiming, 100)) == [None]
    assert claiming.asked == alone.asked


@pytest.mark.parametrize("task", ["jcola", "jnli"])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    orders=st.lists(st.integers(0, 1000), min_size=2, max_size=4),
    limit=st.integers(1, 20),
    share=st.sampled_from([0.0, 0.3, 0.6]),
    nums=st.lists(st.sampled_from([20, 60]), min_size=4, max_size=4),
)
def test_many_write_what_one_would(
    composed: Compose, tmp_path_factory: pytest.TempPathFactory, task: str, orders: list[int], limit: int, share: float, nums: list[int]
) -> None:
    config, root, lone = composed(f"task={task}"), tmp_path_factory.mktemp("shards"), tmp_path_factory.mktemp("lone")
    shards = [Shard(config, root, StubClient(order, share, limit=limit), num, 50) for order, num in zip(orders, nums, strict=False)]
    assert run_together(*shards) == [None] * len(shards)
    positions = written(folder_of(root))
    assert len(positions) == len(set(positions)), "each row once"
    fill(config, lone, StubClient(0, share, limit=1), max(nums[: len(shards)]), factor=50)
    num = max(nums[: len(shards)])
    assert cut(config, folder_of(root), num).accepted == cut(config, lone, num).accepted
    assert sum(request.n for shard in shards for request in shard.client.asked) == len(positions)


@pytest.mark.parametrize("task", ["jcola", "jnli"])
def test_two_share_the_work(composed: Compose, tmp_path: Path, task: str) -> None:
    shards = [Shard(composed(f"task={task}"), tmp_path, StubClient(order), 200) for order in range(2)]
    assert run_together(*shards) == [None, None]
    halves = [sum(request.n for request in shard.client.asked) for shard in shards]
    assert min(halves) > 0.3 * sum(halves)


def test_the_budget_ends_all_writers_with_the_same_words(composed: Compose, tmp_path: Path) -> None:
    shards = [Shard(composed("task=jcola"), tmp_path, StubClient(order, 0.8), 100, factor=3) for order in range(2)]
    faults = run_together(*shards)
    assert all(isinstance(fault, GenerationError) for fault in faults)
    assert "within the budget of 300 replies" in str(faults[0])
    assert len({str(fault) for fault in faults}) == 1
    assert sum(request.n for shard in shards for request in shard.client.asked) <= 2 * 300


class StuckClient(StubClient):
    """Stops answering after so many replies."""

    def __init__(self, num_answered: int) -> None:
        super().__init__()
        self._left = num_answered
        self.go_on = asyncio.Event()

    async def complete(self, request: Request) -> Reply:
        self._left -= 1
        if self._left < 0:
            self.asked.append(request)
            await self.go_on.wait()
            self.asked.pop()
        return await super().complete(request)


@pytest.mark.parametrize("task", ["jcola", "jnli"])
@pytest.mark.parametrize("num_answered", [0, 3, 15])
def test_others_wait_for_the_living_and_do_the_work_of_the_dead(composed: Compose, tmp_path: Path, task: str, num_answered: int) -> None:
    config = composed(f"task={task}")
    one, other = Shard(config, tmp_path, StuckClient(num_answered), 60), Shard(config, tmp_path, StubClient(), 60)

    async def scenario() -> None:
        stuck = asyncio.create_task(one.run())
        while len(one.client.asked) < num_answered + one.client.limit:
            await asyncio.sleep(0)
        running = asyncio.create_task(other.run())
        looks = 0
        while looks < 5 or other.generator._num_open:  # until it only waits, and a little longer
            looks = looks + 1 if other.claims.rivals and not other.generator._num_open else 0
            await asyncio.sleep(generate.REFRESH_S)
        assert not running.done()
        positions = written(folder_of(tmp_path))
        assert len(positions) == len(set(positions))
        stuck.cancel()
        orphan(one.claims)
        await asyncio.wait_for(running, 30)
        await asyncio.gather(stuck, return_exceptions=True)

    asyncio.run(asyncio.wait_for(scenario(), 60))
    positions = written(folder_of(tmp_path))
    assert len(positions) == len(set(positions)), "what the dead had written isn't asked for again"
    assert cut(config, folder_of(tmp_path), 60).is_complete


def test_a_writer_whose_server_fails_leaves_its_work_to_the_others(composed: Compose, tmp_path: Path) -> None:
    config = composed("task=jcola")
    shards = [Shard(config, tmp_path, StubClient(fail_after=5), 100), Shard(config, tmp_path, StubClient(1), 100)]
    faults = run_together(*shards)
    assert isinstance(faults[0], ServerError)
    assert faults[1] is None
    assert cut(config, folder_of(tmp_path), 100).is_complete


def test_what_others_had_written_by_then_is_not_asked_for(composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "REFRESH_S", 60.0)
    one, late = (Shard(composed(), tmp_path, StubClient(), 40) for _ in range(2))
    assert run_together(one) == [None]
    assert run_together(late) == [None]
    assert late.client.asked == []


def test_failed_rows_that_end_a_run_are_written_for_all(composed: Compose, tmp_path: Path) -> None:
    """A stream that is complete for its writer is complete for a reader, also where no success followed a failed row."""

    class Failing(StubClient):
        async def complete(self, request: Request) -> Reply:
            return Reply(tuple(Completion("", "error") for _ in range(request.n)), 0, 0, "400: bad")

    config = composed("task=jcola")
    fill(config, tmp_path, StubClient(), 40)
    (path,) = tmp_path.glob("rows-*")
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith('{"index": 0,')), encoding="utf-8")
    assert not cut(config, tmp_path, 20).is_complete
    assert fill(config, tmp_path, Failing(), 20).is_complete
    assert cut(config, tmp_path, 20).is_complete


def test_a_row_written_twice_is_noticed(tmp_path: Path, composed: Compose) -> None:
    config = composed("task=jcola")
    (tmp_path / "a").mkdir()
    fill(config, tmp_path / "a", StubClient(), 4)
    rows = StreamRows(tmp_path / "a")
    (path,) = (tmp_path / "a").glob("rows-*")
    text = path.read_text(encoding="utf-8")
    path.with_name("rows-0001-same.jsonl").write_text(text, encoding="utf-8")
    assert rows.refresh() == []
    assert not rows.is_disputed
    path.with_name("rows-0002-other.jsonl").write_text(text.replace("走る", "飛ぶ"), encoding="utf-8")
    assert rows.refresh() == []
    assert rows.is_disputed


# Real processes, over real sockets, through japagen.experiments.stages.fill.


def experiment_of(store: Path, base_url: str) -> Experiment:
    overrides = ["task=jnli", "llm=demo", f"llm.base_url={base_url}", "llm.id=stub", "num_per_label=300", "data=files"]
    return plan_experiment(compose_config([*overrides, f"store={store}", "curate.near_duplicates=null"]))


def write(store: Path, base_url: str) -> None:
    """What a shard does."""
    experiment = experiment_of(store, base_url)

    async def run() -> None:
        async with Client(Endpoint(base_url), "stub", 16) as client:
            await fill_stage(experiment, "stream", Store(store), client, lambda progress: None)

    asyncio.run(run())


class Gate:
    """A server that writes up to `num` texts until it is opened."""

    def __init__(self, num: int) -> None:
        self._slots, self._num = threading.Semaphore(num), num
        self.stub = StubLLM(write=self._write)

    def _write(self, messages: Messages, seed: int) -> str:
        self._slots.acquire()
        return some_text(seed)

    def open(self) -> None:
        self._slots.release(1_000_000)


@pytest.fixture
def gates(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Gate]]:
    """Two servers, the first of which stops in mid-run."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with ExitStack() as stack:
        found = [Gate(250), Gate(1_000_000)]
        for gate in found:
            stack.enter_context(serving(gate.stub))
        yield found
        for gate in found:
            gate.open()


def start(store: Path, gates: Sequence[Gate]) -> list[BaseProcess]:
    context = multiprocessing.get_context("spawn")
    processes: list[BaseProcess] = [context.Process(target=write, args=(store, gate.stub.base_url)) for gate in gates]
    for process in processes:
        process.start()
    return processes


def kill(process: BaseProcess) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()


@pytest.fixture
def stream_folder(tmp_path: Path, gates: list[Gate]) -> Path:
    keys = {experiment_of(tmp_path, gate.stub.base_url).keys["stream"] for gate in gates}
    assert len(keys) == 1, "where the servers are, the key doesn't tell"
    return Store(tmp_path).path("stream", keys.pop())


def test_two_processes_write_each_row_once(tmp_path: Path, gates: list[Gate], stream_folder: Path) -> None:
    gates[0].open()
    processes = start(tmp_path, gates)
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    counts = Counter(written(stream_folder))
    assert set(counts.values()) == {1}
    assert sum(body["n"] for gate in gates for body in gate.stub.bodies) == len(counts)
    experiment = experiment_of(tmp_path, gates[0].stub.base_url)
    assert is_complete(experiment, "stream", Store(tmp_path))
    assert llm_seconds(experiment, Store(tmp_path)) > 0
    assert not list((tmp_path / "locks").iterdir())
    assert not list((stream_folder / "claims").iterdir())


def test_the_work_of_a_killed_process_is_taken_over(tmp_path: Path, gates: list[Gate], stream_folder: Path) -> None:
    (victim,) = start(tmp_path, gates[:1])
    assert eventually(lambda: len(written(stream_folder)) >= 200, 60)
    (other,) = start(tmp_path, gates[1:])
    try:
        assert eventually(lambda: len(list(stream_folder.glob("rows-*"))) == 2, 60)
        acknowledged = {row.position: row for path in stream_folder.glob("rows-*") for row in read_rows(path)}
    finally:
        kill(victim)
    other.join(120)
    assert other.exitcode == 0
    assert is_complete(experiment_of(tmp_path, gates[0].stub.base_url), "stream", Store(tmp_path))
    assert set(Counter(written(stream_folder)).values()) == {1}, "only what the dead had not written was asked for again"
    rows = {row.position: row for row in StreamRows(stream_folder)}
    assert {position: rows[position] for position in acknowledged} == acknowledged


def test_when_all_are_killed_the_next_goes_on(tmp_path: Path, gates: list[Gate], stream_folder: Path) -> None:
    gates[1]._slots = threading.Semaphore(250)
    processes = start(tmp_path, gates)
    try:
        assert eventually(lambda: len(written(stream_folder)) >= 300, 60)
    finally:
        for process in processes:
            kill(process)
    acknowledged = {row.position: row for row in StreamRows(stream_folder)}
    for gate in gates:
        gate.open()
    (last,) = start(tmp_path, gates[1:])
    last.join(120)
    assert last.exitcode == 0
    assert set(Counter(written(stream_folder)).values()) == {1}
    rows = {row.position: row for row in StreamRows(stream_folder)}
    assert {position: rows[position] for position in acknowledged} == acknowledged
    assert is_complete(experiment_of(tmp_path, gates[0].stub.base_url), "stream", Store(tmp_path))
