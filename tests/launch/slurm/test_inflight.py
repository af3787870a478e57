"""What is submitted is known to every client of the store, and followed into the folder of the sweep that it is of."""

import json
from pathlib import Path

import pytest

from japagen.errors import ConfigError, StoreError
from japagen.store.store import Store
from japagen.sweeps.folder import DONE, RUNNING, WAITING, State, SweepFolder
from launch.naming import unused_name
from launch.slurm import inflight as module
from launch.slurm.inflight import inflight

ENTRY = {"job": "12_0", "log": "/x", "sweep": "first", "unit": "student-0003"}
OTHER = {"job": "13", "log": "/y", "sweep": "first", "unit": "llm-0"}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(module, "queue_states", lambda jobs: dict.fromkeys(jobs, ("RUNNING", "None")))
    return Store(tmp_path)


def test_what_is_noted_is_kept_at_once_and_found_again(store: Store) -> None:
    with inflight(store) as known:
        known.note({"a": ENTRY, "b": ENTRY, "c": OTHER})
        assert (store.root / "inflight.json").is_file(), "a client that is killed now leaves it so"
    with inflight(store) as known:
        assert known.maker(["a"]) == known.maker(["a", "b"]) == ENTRY
        assert known.maker(["a", "c"]) is None, "no single job makes both"
        assert known.maker(["a", "d"]) is None
        assert known.maker([]) is None


def test_jobs_that_left_the_queue_make_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with inflight(store) as known:
        known.note({"a": ENTRY, "c": OTHER})
    monkeypatch.setattr(module, "queue_states", lambda jobs: {"13": ("PENDING", "Priority")})
    with inflight(store) as known:
        assert known.maker(["a"]) is None
        known.note({"d": OTHER})
    assert sorted(json.loads((store.root / "inflight.json").read_text(encoding="utf-8"))) == ["c", "d"]


def test_nothing_is_submitted_where_slurm_does_not_answer(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "queue_states", lambda jobs: None)
    with pytest.raises(ConfigError, match="nothing was submitted"), inflight(store):
        pass


def test_a_unit_of_another_sweeps_job_has_the_state_that_its_own_folder_says(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first, second = (SweepFolder.create(store, name, [], [], []) for name in ("first", "second"))
    second.write_submitted({"student-0000": ENTRY})
    assert second.state("student-0000").state == WAITING
    first.write_state("student-0003", State(RUNNING, slurm_job="12_0"))
    assert second.state("student-0000").state == second.states()["student-0000"].state == RUNNING
    second.end("student-0000", DONE, "")
    assert second.state("student-0000").state == DONE
    assert first.state("student-0003").state == RUNNING


def test_each_start_has_a_folder_of_its_own(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert [unused_name(store, "mine") for _ in range(3)] == ["mine", "mine-2", "mine-3"]
    (tmp_path / "scratch").symlink_to(tmp_path / "unmounted")
    with pytest.raises(StoreError, match="a link that leads nowhere"):
        unused_name(Store(tmp_path / "scratch" / "store"), "mine")
