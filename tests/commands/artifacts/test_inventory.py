"""What the store holds: who needs what, whatever is missing, torn, foreign or half done."""

import os
from pathlib import Path

import pytest

from japagen.commands.artifacts.inventory import extent_of, read_inventory, session_costs
from japagen.store.store import Store
from tests.stubs.made_store import (
    age,
    contents,
    key,
    lock_of,
    make,
    make_arm,
    make_result,
    make_stream,
    make_sweep,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_an_artifact_leads_to_all_that_it_was_made_from(store: Store) -> None:
    attributes = make(store, "attributes", "attributes", {"texts": ""})
    stream = make(store, "stream", "s", {"prompt": {"attributes_key": attributes}})
    judged = make(store, "judgements", "j", {"texts": stream})
    dataset = make(store, "dataset", "d", {"stream": stream, "judgements": judged})
    mixed = make(store, "model", "m", {"rows": f"{dataset}+gold:{'a' * 64}:{'b' * 64}*0.5"})
    other = make_stream(store, "other")
    inventory = read_inventory(store)
    assert inventory.reachable([mixed]) == {mixed, dataset, judged, stream, attributes}
    assert inventory.reachable([key("nowhere"), other]) == {other}
    assert inventory.items[judged].stage == "judgements", "one folder is shared by all that an LLM says"


def test_a_result_needs_its_data_set_although_its_model_was_pruned(store: Store) -> None:
    stream = make_stream(store)
    dataset = make(store, "dataset", "d", {"stream": stream})
    result = make_result(store, "r", {"model": key("m")}, {"model": key("m"), "dataset": dataset, "stream": stream})
    inventory = read_inventory(store)
    assert inventory.reachable([result]) == {result, dataset, stream}
    assert inventory.results_of == {result: [result], dataset: [result], stream: [result]}


def test_sweeps_and_tasks_by_key(store: Store) -> None:
    stream = make_stream(store)
    first, second = make_arm(store, "1", stream), make_arm(store, "2", stream)
    make_sweep(store, "日本語の実験", first, second)
    make_sweep(store, "later", second, {"stream": key("planned"), "result": key("planned result")})
    inventory = read_inventory(store)
    assert inventory.sweeps_of[first["model"]] == ["日本語の実験"]
    assert sorted(inventory.sweeps_of[stream]) == ["later", "日本語の実験"]
    assert key("planned") in inventory.planned
    assert inventory.tasks_of[second["dataset"]] == {"jnli"}


def test_what_is_not_the_stores_own_is_passed_over(store: Store) -> None:
    make_stream(store)
    (store.root / "models").mkdir()
    (store.root / "models" / "README.md").write_text("mine", encoding="utf-8")
    (store.root / "models" / "my-model").mkdir()
    (store.root / "models" / key("file")).write_text("no folder", encoding="utf-8")
    (store.root / "models" / f".{key('m')}.backup.tmp").mkdir()
    moved = store.path("dataset", make(store, "dataset", "d"))
    moved.rename(moved.with_name(key("elsewhere")))
    (store.root / "work" / "notes").mkdir(parents=True)
    before = contents(store)
    inventory = read_inventory(store)
    assert set(inventory.items) == {key("s")}
    assert not inventory.incomplete
    assert not inventory.leftovers
    assert not inventory.work
    assert not inventory.faults
    assert contents(store) == before


def test_half_done_and_left_behind(store: Store) -> None:
    store.path("model", key("torn")).mkdir(parents=True)
    left = store.root / "models" / f".{key('killed')}.0123abcd.tmp"
    left.mkdir()
    (left / "weights").write_text("12345", encoding="utf-8")
    (store.root / ".sweep-old.0123abcd.tmp").mkdir()
    store.work(key("m")).mkdir(parents=True)
    lock = lock_of(store, "model", key("m"))
    (lock.with_name(f"{lock.name}.{'0' * 32}")).write_text("", encoding="utf-8")
    (lock.with_name(f"{lock.name}.{'1' * 32}.stale")).write_text("", encoding="utf-8")
    os.utime(lock.with_name(f"{lock.name}.{'1' * 32}.stale"), (0, 0))
    inventory = read_inventory(store)
    assert [item.key for item in inventory.incomplete] == [key("torn")]
    assert [(name, extent.num_bytes) for name, extent in inventory.leftovers] == [(key("killed"), 5), ("", 0), ("", 0)]
    assert set(inventory.work) == {key("m")}
    assert inventory.held == {key("m"): "process 1 on elsewhere"}


@pytest.mark.parametrize(
    ("stage", "name", "content"),
    [
        ("model", "meta.json", "{"),
        ("model", "meta.json", "[]"),
        ("result", "result.json", "{"),
        ("result", "result.json", '{"task": "jnli"}'),
    ],
)
def test_what_cannot_be_read_is_named(store: Store, stage: str, name: str, content: str) -> None:
    made = make_result(store, "x", {}, {}) if stage == "result" else make(store, stage, "x")
    (store.path(stage, made) / name).write_text(content, encoding="utf-8")
    inventory = read_inventory(store)
    assert len(inventory.faults) == 1
    assert name in inventory.faults[0]
    assert not inventory.items


@pytest.mark.parametrize("content", ["{", "{}", '{"experiments": [1]}'])
def test_a_plan_that_cannot_be_read_is_named(store: Store, content: str) -> None:
    folder = make_sweep(store, "torn").root
    (folder / "plan.json").write_text(content, encoding="utf-8")
    assert "torn/plan.json" in read_inventory(store).faults[0]


def test_sizes_and_ages_count_all_files(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "one").write_text("12345", encoding="utf-8")
    (tmp_path / "a" / "two").write_text("12", encoding="utf-8")
    age(tmp_path / "a", 3)
    (tmp_path / "a" / "b").touch()
    assert extent_of(tmp_path / "a").changed == (tmp_path / "a" / "b").stat().st_mtime
    (tmp_path / "a" / "link").symlink_to("/usr")
    assert extent_of(tmp_path / "a").num_bytes == 7 + len("/usr")
    assert extent_of(tmp_path / "gone").num_bytes == 0


def test_costs_are_summed_over_sessions(store: Store) -> None:
    folder = store.path("stream", make_stream(store))
    with (folder / "sessions.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"seconds": 1.5, "rows": 1, "completion_tokens": 7}\n')
    assert session_costs(folder) == (11, 207, 61.5)
    assert session_costs(folder / "gone") == (0, 0, 0.0)


def test_an_empty_store(store: Store) -> None:
    inventory = read_inventory(store)
    assert not inventory.items
    assert not inventory.sweeps
