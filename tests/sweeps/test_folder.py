"""A sweep's folder: what was written is what is read, by anybody at any moment."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from japagen.config.schema import Site
from japagen.errors import ConfigError, StoreError
from japagen.store.files import read_json, write_json
from japagen.store.store import Store
from japagen.sweeps.folder import (
    DONE,
    LLM,
    RUNNING,
    STUDENT,
    UNFINISHED,
    WAITING,
    Planned,
    State,
    SweepFolder,
    Unit,
    folder_name,
    sweep_folders,
)
from launch.planning import pinned, plan_experiments
from tests.conftest import ROOT, Compose

PLANNED = [Planned("a-seed0", "jcola", {"model": "m0", "result": "r0"}), Planned("a-seed1", "jcola", {"model": "m1", "result": "r1"})]
UNITS = [Unit("llm-0", LLM, "demo, 1 stream(s)", (0,), gpus=2), Unit("student-0000", STUDENT, "a-seed0", (0,), ("llm-0",))]


def shipped(group: str) -> list[str]:
    return [f"{group}={path.stem}" for path in sorted((ROOT / "conf" / group).glob("*.yaml"))]


def experiments() -> list[str]:
    return [f"+{name}" for name in shipped("experiment")]


@pytest.fixture
def folder(tmp_path: Path, composed: Compose) -> SweepFolder:
    configs = [composed("task=jcola", f"seed={seed}") for seed in (0, 1)]
    return SweepFolder.create(Store(tmp_path), "first", configs, PLANNED, UNITS)


@pytest.mark.parametrize("chosen", [*shipped("task"), *shipped("llm"), *shipped("model"), *shipped("site"), *experiments()])
def test_a_configuration_reads_as_it_was_written(composed: Compose, tmp_path: Path, chosen: str) -> None:
    config = composed(chosen, *(["shots=5"] if chosen.startswith("llm=") else []))  # base models need exemplars
    assert SweepFolder.create(Store(tmp_path), "one", [config], [], []).config(0) == config


def test_what_is_pinned_has_the_same_keys(composed: Compose, tmp_path: Path) -> None:
    settings = [["task=jcola"], ["task=jsts", "shots=2", "prompt=kadg"], ["method=gold"], ["method=gold", "gold_per_label=3"]]
    planned = plan_experiments([composed(*own) for own in settings])
    folder = SweepFolder.create(Store(tmp_path), "keys", [pinned(one) for one in planned], [], [])
    read = plan_experiments([folder.config(number) for number in range(len(planned))])
    assert [one.keys for one in read] == [one.keys for one in planned]


@settings(max_examples=10)
@given(texts=st.lists(st.text(alphabet="\\${}:a'\", あ\n", max_size=12), min_size=20, max_size=40))
def test_no_text_is_taken_for_an_interpolation(composed: Compose, tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    config = composed()
    config.llm.license_note = texts[0]
    config.llm.chat_template_args = {"lists": [*texts, {"nested": texts}], "number": 1.5, "none": None}
    folder = SweepFolder.create(Store(tmp_path_factory.mktemp("store")), "text", [config], [], [])
    assert folder.config(0) == config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"warp": 9}, "the configuration has no setting 'warp'"),
        ({"seed": "many"}, "seed is 'many'; it must be of type int"),
        ({"train": {"epoch": 2}}, r"train has no setting 'epoch' \(did you mean 'epochs'\?\)"),
        ({"task": {"labels": [{"name": "a", "score": "high"}]}}, r"task\.labels\.score is 'high'"),
        ({"synthesis": {"temperatures": 1.0}}, r"synthesis\.temperatures is 1\.0; it must be of type list"),
        ({"llm": None}, "llm is None"),
        ({"shots": -1}, "shots=-1 is too small"),
    ],
)
def test_what_is_no_configuration_of_this_version_is_refused(folder: SweepFolder, changes: dict[str, Any], message: str) -> None:
    path = folder.root / "configs" / "00000.json"
    write_json(path, read_json(path) | changes)
    with pytest.raises(ConfigError, match=message):
        folder.config(0)


def test_a_setting_that_came_later_has_its_default(folder: SweepFolder) -> None:
    path, written = folder.root / "configs" / "00000.json", folder.config(0)
    content = read_json(path)
    del content["judge"], content["train"]["robust_q"], content["site"]
    content["train"]["warmup_ratio"] = 1
    write_json(path, content)
    read = folder.config(0)
    assert (read.judge, read.train.robust_q, read.site, read.train.warmup_ratio) == (None, 0.0, Site(), 1.0)
    assert read.task == written.task


def test_plan_and_units_read_as_they_were_written(folder: SweepFolder) -> None:
    assert folder.units() == UNITS
    assert folder.experiments() == PLANNED
    assert folder.plan()["name"] == folder.name == "first"
    assert folder.config(1).seed == 1


def test_states_read_as_they_were_written(folder: SweepFolder) -> None:
    assert folder.states() == {}
    assert folder.state("llm-0") == State(state=WAITING)
    progress = {"jcola 0-shot base": {"wanted": 100, "accepted": 20, "seconds": 1.5}}
    written = folder.write_state("llm-0", State(RUNNING, host="n1", pid=7, slurm_job="12_3", started=5.0, attempts=2, progress=progress))
    assert folder.state("llm-0") == written
    assert written.updated is not None
    folder.write_state("student-0000", State(DONE, ended=9.0, faults={"key": "why"}))
    assert {unit: state.state for unit, state in folder.states().items()} == {"llm-0": RUNNING, "student-0000": DONE}
    ended = folder.end("llm-0", UNFINISHED, "gone")
    assert (ended.cause, ended.attempts, ended.progress) == ("gone", 2, progress), "what it wrote itself stays"
    assert ended.ended is not None


def test_jobs_are_added(folder: SweepFolder) -> None:
    assert folder.submitted() == {}
    folder.write_submitted({"llm-0": {"job": "1", "log": "a"}, "student-0000": {"job": "2_0", "log": "b"}})
    folder.write_submitted({"llm-0": {"job": "3", "log": "c"}})
    assert folder.submitted() == {"llm-0": {"job": "3", "log": "c"}, "student-0000": {"job": "2_0", "log": "b"}}


def test_written_anew_it_keeps_its_units_states(folder: SweepFolder, composed: Compose) -> None:
    folder.write_state("student-0000", State(DONE, attempts=1))
    again = SweepFolder.create(Store(folder.root.parent.parent), "first", [composed("task=jsts")], PLANNED[:1], UNITS[1:])
    assert again.root == folder.root
    assert again.units() == UNITS[1:]
    assert again.config(0).task.name == "jsts"
    assert again.state("student-0000").attempts == 1


def test_no_reader_sees_half_a_state(folder: SweepFolder) -> None:
    long = State(RUNNING, cause="長" * 20_000, attempts=1)
    short = replace(long, cause="", attempts=2)
    folder.write_state("llm-0", long)
    is_over = threading.Event()

    def write() -> None:
        for number in range(150):
            folder.write_state("llm-0", (long, short)[number % 2])
        is_over.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not is_over.is_set():
        state = folder.state("llm-0")
        seen.add(state.attempts)
        assert (state.cause, state.attempts) in ((long.cause, 1), (short.cause, 2))
        assert set(folder.states()) == {"llm-0"}, "what is being written isn't taken for a unit"
    writer.join()
    assert seen == {1, 2}


def test_a_broken_plan_is_told(folder: SweepFolder) -> None:
    (folder.root / "plan.json").write_text('{"units": [', encoding="utf-8")
    with pytest.raises(StoreError, match=r"plan\.json can't be read"):
        folder.units()


def test_the_latest_sweep_stands_last(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert sweep_folders(store) == []
    for name in ("b", "a", "b"):
        SweepFolder.create(store, name, [], [], [])
    assert [folder.name for folder in sweep_folders(store)] == ["a", "b"]


@pytest.mark.parametrize(("text", "name"), [("2026-11-21-16-04", "2026-11-21-16-04"), ("a/b c", "a-b-c"), ("../..", "sweep"), ("表", "表")])
def test_a_name_is_a_folders(text: str, name: str) -> None:
    assert folder_name(text) == name
