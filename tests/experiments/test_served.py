"""The revision of an LLM behind a running server: asked once by who plans, and never at the price of rows that exist."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from japagen.config.schema import Config
from japagen.experiments.experiment import Experiment
from japagen.experiments.planning import Planner
from japagen.experiments.served import SERVED
from japagen.store.rowsfile import open_folder
from japagen.store.store import Store
from launch.planning import pinned
from tests.conftest import Compose
from tests.stubs.stub_llm import StubLLM, serving

HERE, THERE = "served: owner org, root org/here", "served: owner org, root org/there"


@pytest.fixture
def stub_llm() -> Iterator[StubLLM]:
    with serving(StubLLM(owned_by="org", told={"root": "org/here"})) as stub:
        yield stub


@pytest.fixture
def config(composed: Compose, stub_llm: StubLLM, tmp_path: Path) -> Config:
    return composed(*stub_llm.overrides, "task=jcola", f"store={tmp_path}")


def planned(config: Config, tentative: bool = False) -> tuple[Experiment, list[str]]:
    planner = Planner(tentative, asks_servers=True)
    return planner.plan(config), planner.notes


def write_rows(experiment: Experiment, row: bytes = b"{}\n", stage: str = "stream") -> None:
    folder = open_folder(Store(experiment.config.store), stage, experiment.keys[stage], experiment.identities[stage])
    (folder / "rows-0000-x.jsonl").write_bytes(row)


def test_what_the_server_tells_is_the_revision_and_is_pinned(config: Config, stub_llm: StubLLM) -> None:
    experiment, notes = planned(config)
    assert experiment.llm_revision == HERE
    assert (notes, stub_llm.models_asked) == ([], 1)
    worker = Planner().plan(pinned(experiment))
    assert worker.keys == experiment.keys
    assert stub_llm.models_asked == 1, "a worker asks nobody"
    assert Planner().plan(config).llm_revision == SERVED
    stub_llm.told = {"root": "org/there"}
    assert planned(config)[0].keys["stream"] != experiment.keys["stream"]


def test_a_server_is_asked_once_a_plan(composed: Compose, stub_llm: StubLLM, tmp_path: Path) -> None:
    planner = Planner(asks_servers=True)
    for task in ("jcola", "jnli"):
        judged = ["curate.judging=drop", "+llm@judge=demo", f"judge.base_url={stub_llm.base_url}", "judge.id=stub"]
        experiment = planner.plan(composed(*stub_llm.overrides, f"task={task}", f"store={tmp_path}", *judged))
        assert experiment.revision_of("judgements") == HERE
    assert stub_llm.models_asked == 1


def test_the_yamls_revision_is_taken_without_asking(composed: Compose, stub_llm: StubLLM) -> None:
    experiment, _ = planned(composed(*stub_llm.overrides, "llm.revision=mine"))
    assert (experiment.llm_revision, stub_llm.models_asked) == ("mine", 0)


@pytest.mark.parametrize(("status", "is_noted"), [(404, False), (503, True)])
def test_a_server_without_models_is_as_served(config: Config, stub_llm: StubLLM, status: int, is_noted: bool) -> None:
    """A server that is still loading (503) may tell more later, which a note says."""
    stub_llm.models_status = status
    experiment, notes = planned(config)
    assert experiment.llm_revision == SERVED
    assert bool(notes) == is_noted


def test_a_name_alone_is_as_served(config: Config, stub_llm: StubLLM) -> None:
    stub_llm.owned_by, stub_llm.told = "", {"root": "stub"}
    assert planned(config)[0].keys == Planner().plan(config).keys


@pytest.mark.parametrize("row", [b"{}\n", b""])
def test_rows_made_as_served_are_used_with_a_note(config: Config, row: bytes) -> None:
    write_rows(Planner().plan(config), row)
    experiment, notes = planned(config)
    assert experiment.llm_revision == (SERVED if row else HERE), "a folder without rows decides nothing"
    assert [f"set llm.revision={HERE!r}" in note for note in notes] == [True] * bool(row)


def test_rows_under_the_servers_word_come_first(config: Config) -> None:
    write_rows(planned(config)[0])
    write_rows(Planner().plan(config))
    assert planned(config) == (planned(config)[0], [])
    assert planned(config)[0].llm_revision == HERE


def test_another_servers_rows_are_named(config: Config, stub_llm: StubLLM) -> None:
    write_rows(planned(config)[0])
    stub_llm.told = {"root": "org/there"}
    experiment, (note,) = planned(config)
    assert experiment.llm_revision == THERE
    assert f"llm.revision={HERE!r}" in note


@pytest.mark.parametrize("tentative", [False, True])
def test_a_server_that_is_away_stops_no_plan(composed: Compose, tmp_path: Path, tentative: bool) -> None:
    config = composed("task=jcola", "llm.base_url=http://127.0.0.1:9/v1", f"store={tmp_path}")
    experiment, (note,) = planned(config, tentative)
    assert experiment.keys == Planner().plan(config).keys
    assert "gives no answer now" in note
    assert "can't be reached" in note


def test_a_server_that_is_away_is_known_by_its_rows(config: Config, stub_llm: StubLLM, composed: Compose, tmp_path: Path) -> None:
    made = planned(config)[0]
    write_rows(made)
    gone = composed(*stub_llm.overrides, "llm.base_url=http://127.0.0.1:9/v1", "task=jcola", f"store={tmp_path}")
    experiment, (note,) = planned(gone)
    assert experiment.keys == made.keys
    assert "the rows in the store are used" in note


def test_metas_of_other_kinds_are_passed_over(composed: Compose, tmp_path: Path) -> None:
    folder = tmp_path / "streams" / "x"
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps({"identity": {"llm": {"id": "stub"}}}), encoding="utf-8")
    config = composed("task=jcola", "llm.base_url=http://127.0.0.1:9/v1", "llm.id=stub", f"store={tmp_path}")
    assert planned(config)[0].llm_revision == SERVED
