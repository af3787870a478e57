"""What a sweep does, counted: requests, bytes, compositions, server starts, looks into gold files and into the store. Never seconds.

Each number is one that grew once, or would grow unseen: a change of one here is a change of what a run costs.
"""

import copy
import json
import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from japagen import gold
from japagen.config.schema import Config, register_schema
from japagen.experiments import llm_work, stages
from japagen.experiments.experiment import Experiment
from japagen.experiments.training_rows import build_dataset
from japagen.store.store import Store
from japagen.sweeps.folder import STUDENT, SweepFolder
from launch import execute as executing
from launch import work
from launch.compositions import Compositions
from launch.planning import pinned, plan_experiments, plan_units, planned
from tests.conftest import ROOT, Compose
from tests.stubs.memory_server import MemoryServer
from tests.stubs.streams import fill_stream_of
from tests.stubs.stub_client import StubClient

NUM, N = 20, 8
"""Texts a label, and texts a request."""


class Counting(MemoryServer):
    """A server in memory whose requests are kept; every reply of its is accepted."""

    def __init__(self) -> None:
        super().__init__()
        self.clients: list[StubClient] = []

    def client(self, *_: Any) -> Any:
        self.clients.append(_Client())
        return self.clients[-1]

    @property
    def requests(self) -> list[Any]:
        return [request for client in self.clients for request in client.asked]


class _Client(StubClient):
    async def __aenter__(self) -> "_Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Counting:
    stub = Counting()
    monkeypatch.setattr(work, "serve", stub.serve)
    monkeypatch.setattr(work, "Client", stub.client)
    monkeypatch.setattr(work, "train_and_score", lambda experiment, store, group: build_dataset(experiment, store, lambda line: None))
    return stub


@pytest.fixture
def sweep(composed: Compose, tmp_path: Path) -> list[Config]:
    """2 tasks x 2 set-ups of an LLM's server x 3 seeds: 12 students, 4 streams, 2 server starts."""
    own = [f"num_per_label={NUM}", "logger=none", f"store={tmp_path}/store", f"synthesis.texts_per_request={N}", "shots=2"]
    plain = [composed(f"task={task}", *own) for task in ("jcola", "jnli")]
    other = [replace(config, llm=replace(config.llm, dtype="bfloat16")) for config in plain]
    return [replace(config, seed=seed) for config in (*plain, *other) for seed in range(3)]


def test_a_sweep_starts_one_server_a_group_and_asks_for_each_text_once(server: Counting, sweep: list[Config]) -> None:
    executing.execute(sweep, "counted")
    assert server.starts == 2
    wanted = math.ceil(NUM / N)
    single, firsts, seconds = 2 * wanted, wanted, 3 * NUM
    assert len(server.requests) == 2 * (single + firsts + seconds)
    executing.execute(sweep, "counted")
    assert server.starts == 2, "the second time everything is there"


def test_a_row_is_its_text_and_little_more(server: Counting, sweep: list[Config], monkeypatch: pytest.MonkeyPatch) -> None:
    writes: Counter[str] = Counter()
    for name in ("write", "fsync"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, _noting(writes, name, real))
    executing.execute(sweep[:1], "counted")
    (path,) = Path(sweep[0].store).glob("streams/*/rows-*.jsonl")
    lines = path.read_bytes().splitlines()
    assert len(lines) == 2 * math.ceil(NUM / N) * N
    overhead = [len(line) - len(json.dumps(json.loads(line)["text"], ensure_ascii=False).encode()) for line in lines]
    assert max(overhead) < 250
    assert writes["write"] <= len(server.requests), "rows that came together are one write"


def _noting(counts: Counter[str], name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def noted(*arguments: Any, **named: Any) -> Any:
        counts[name] += 1
        return real(*arguments, **named)

    return noted


def test_a_stream_with_too_few_rows_is_not_judged_to_see_that(sweep: list[Config], monkeypatch: pytest.MonkeyPatch) -> None:
    small, large = plan_experiments([replace(sweep[0], num_per_label=N), sweep[0]])
    store = Store(sweep[0].store)
    fill_stream_of(small, store)
    assert stages.is_complete(small, "stream", store)
    judged: Counter[str] = Counter()
    monkeypatch.setattr(llm_work, "select", _noting(judged, "streams", llm_work.select))
    assert not stages.is_complete(large, "stream", store)
    assert not judged


def test_hydra_composes_once_for_all_jobs_that_differ_in_values() -> None:
    register_schema()
    composed: Counter[str] = Counter()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        loader: Any = GlobalHydra.instance().config_loader()
        loader.load_sweep_config = _noting(composed, "by Hydra", loader.load_sweep_config)
        master = loader.load_configuration("config", [], RunMode.MULTIRUN)
        compositions = Compositions(loader)
        jobs = [
            [f"task={task}", f"shots={shots}", f"train.epochs={epochs}", f"seed={seed}"]
            for task, shots, epochs, seed in product(("jcola", "jnli"), (0, 3), (2, 4), range(5))
        ]
        for job in jobs:
            loader.load_sweep_config(master, job)  # as the sweeper does
        configs = [compositions.config(master, job) for job in jobs]
    assert len({(one.task.name, one.shots, one.train.epochs, one.seed) for one in configs}) == 40
    assert composed == {"by Hydra": 2}


def test_hydra_copies_no_schema_to_look_at_a_group() -> None:
    register_schema()
    schemas = ConfigStore.instance()
    assert copy.deepcopy(schemas) is schemas
    schemas.load("japagen_schema.yaml").node.seed = 5
    assert schemas.load("japagen_schema.yaml").node.seed == 0, "what is loaded is a copy"


def test_each_gold_file_is_read_once(sweep: list[Config], monkeypatch: pytest.MonkeyPatch) -> None:
    read: Counter[str] = Counter()
    for name in ("read_eval", "read_train", "read_also_scored", "draw_exemplars"):
        monkeypatch.setattr(gold, name, _noting(read, name, getattr(gold, name)))
    plan_experiments(sweep)
    assert read == {"read_eval": 2, "read_train": 2, "read_also_scored": 2, "draw_exemplars": 2}


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Calls of os.stat, and entries that folders list."""
    found: Counter[str] = Counter()
    real_scandir, real_listdir = os.scandir, os.listdir

    def scandir(path: Any = ".") -> Any:
        found["entries"] += len(real_listdir(path))
        return real_scandir(path)

    def listdir(path: Any = ".") -> list[str]:
        names = real_listdir(path)
        found["entries"] += len(names)
        return names

    monkeypatch.setattr(os, "stat", _noting(found, "stat", os.stat))
    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(os, "listdir", listdir)
    return found


def crowd(store: Store, num: int) -> None:
    """Artifacts of other sweeps."""
    for stage, number in product(("stream", "dataset", "model", "result"), range(num)):
        path = store.path(stage, f"{number:032x}")
        path.mkdir(parents=True, exist_ok=True)
        (path / "meta.json").write_text("{}", encoding="utf-8")


def plan_sweep(experiments: Sequence[Experiment], store: Store) -> None:
    """All that `execute` looks up in a store before the work and after it."""
    units = plan_units(experiments, store)
    folder = SweepFolder.create(store, "crowded", [pinned(one) for one in experiments], planned(experiments), units)
    for unit in units:
        if unit.kind == STUDENT:
            executing.outcome_of(folder, unit, experiments[unit.experiments[0]], store)


def test_looking_up_costs_by_the_job_and_not_by_the_store(looks: Counter[str], composed: Compose, tmp_path: Path) -> None:
    configs = [replace(composed("task=jcola", "logger=none"), seed=seed) for seed in range(60)]
    experiments = plan_experiments(configs)
    found = {}
    for num_jobs, num_artifacts in ((20, 5), (20, 200), (60, 200)):
        store = Store(tmp_path / f"{num_jobs}-{num_artifacts}")
        crowd(store, num_artifacts)
        looks.clear()
        plan_sweep(experiments[:num_jobs], store)
        found[num_jobs, num_artifacts] = dict(looks)
    assert found[20, 5] == found[20, 200]
    assert found[60, 200]["stat"] <= 3 * found[20, 200]["stat"]
    assert found[60, 200]["stat"] <= 10 * 60
    assert "entries" not in found[60, 200]


def test_making_an_artifact_lists_no_folder_of_the_store(looks: Counter[str], tmp_path: Path) -> None:
    def build(out: Path) -> dict[str, Any]:
        (out / "content").write_text("x", encoding="utf-8")
        return {}

    found = []
    for num_artifacts in (1, 200):
        store = Store(tmp_path / str(num_artifacts))
        crowd(store, num_artifacts)
        looks.clear()
        with store.lock("model", "k" * 32) as lock:
            store.publish("model", "k" * 32, build, {}, lock)
        found.append(dict(looks))
    assert found[0] == found[1]
    assert found[1]["entries"] <= 2, "the artifact's own files"
