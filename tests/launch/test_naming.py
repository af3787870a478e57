"""A start goes on in the folder of its own sweep, and never writes over another's."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from japagen.store.files import read_json, write_json
from japagen.store.store import Store
from japagen.sweeps.folder import DONE, RUNNING, STUDENT, Planned, State, SweepFolder, Unit, sweep_folders
from launch.naming import own_name, unused_name


def experiments(*results: str) -> list[Planned]:
    return [Planned(f"jcola-{result}", "jcola", {"model": f"m-{result}", "result": result}) for result in results]


def start(store: Store, output_dir: str, *results: str, name: str = "x-y") -> SweepFolder:
    """What a client writes before it works."""
    planned = experiments(*results)
    units = [Unit(f"student-{number:04d}", STUDENT, one.name, (number,)) for number, one in enumerate(planned)]
    return SweepFolder.create(store, own_name(store, name, output_dir, planned), [], planned, units, output_dir)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.mark.parametrize("now", ["ab", "ba", "abc", "cab"])
def test_the_same_sweep_and_a_larger_one_go_on(store: Store, now: Sequence[str]) -> None:
    first = start(store, "/a/x/y", "a", "b")
    first.write_state("student-0000", State(DONE, attempts=1))
    again = start(store, "/a/x/y", *now)
    assert again.root == first.root
    assert [one.keys["result"] for one in again.experiments()] == list(now)
    assert again.state("student-0000").attempts == 1


@pytest.mark.parametrize(("directory", "now"), [("/b/x/y", "ab"), ("/b/x/y", "abc"), ("/a/x/y", "a"), ("/a/x/y", "bc"), ("/a/x/y", "c")])
def test_another_sweep_has_a_folder_of_its_own(store: Store, directory: str, now: Sequence[str]) -> None:
    first = start(store, "/a/x/y", "a", "b")
    plan = (first.root / "plan.json").read_bytes()
    other = start(store, directory, *now)
    assert other.name == "x-y-2"
    assert (first.root / "plan.json").read_bytes() == plan
    assert {folder.name for folder in sweep_folders(store)} == {"x-y", "x-y-2"}
    assert start(store, directory, *now).name == "x-y-2", "each goes on with its own"
    assert start(store, "/a/x/y", "a", "b").name == "x-y"


def test_a_plan_of_an_earlier_version_goes_on_by_its_experiments(store: Store) -> None:
    path = start(store, "", "a", "b").root / "plan.json"
    write_json(path, {name: value for name, value in read_json(path).items() if name != "output_dir"})
    assert own_name(store, "x-y", "/a/x/y", experiments("c")) == "x-y-2"
    assert own_name(store, "x-y", "/a/x/y", experiments("a", "b", "c")) == "x-y"


@pytest.mark.parametrize("plan", ["{", "[]", "{}", '{"experiments": [{"name": "a"}]}', '{"experiments": null}'])
def test_a_plan_that_cannot_be_read_is_left_alone(store: Store, plan: str) -> None:
    path = start(store, "/a/x/y", "a").root / "plan.json"
    path.write_text(plan, encoding="utf-8")
    assert start(store, "/a/x/y", "a").name == "x-y-2"
    assert path.read_text(encoding="utf-8") == plan


def test_a_folder_that_another_client_has_only_just_made_is_left_alone(store: Store) -> None:
    assert [own_name(store, "x-y", "/a/x/y", experiments("a")) for _ in range(2)] == ["x-y", "x-y-2"]


def test_a_sweep_that_runs_is_joined_by_the_same_list_only(store: Store) -> None:
    first = start(store, "/a/x/y", "a", "b")
    first.write_state("student-0000", State(RUNNING, host=os.uname().nodename, pid=os.getpid()))
    assert start(store, "/a/x/y", "a", "b").name == "x-y"
    assert start(store, "/a/x/y", "a", "c", "b").name == "x-y-2", "student-0001 would be another's"
    first.write_state("student-0000", State(DONE))
    assert start(store, "/a/x/y", "a", "b", "c").name == "x-y"


def test_a_submitted_sweep_is_not_written_over(store: Store) -> None:
    unused_name(store, "x-y")
    first = SweepFolder.create(store, "x-y", [], experiments("a"), [], "/a/x/y")
    first.write_submitted({"student-0000": {"job": "1", "log": "l"}})
    assert start(store, "/a/x/y", "a").name == "x-y-2"
