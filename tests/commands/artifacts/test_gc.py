"""`japagen gc`: nothing that a kept result needs ever goes, whatever the store looks like, who works on it and when it is killed."""

import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.commands.artifacts.gc import carry_out, make_plan
from japagen.commands.artifacts.inventory import Extent, Inventory, Item, read_inventory
from japagen.commands.artifacts.removal import ORDER, SWEEP, plan_removal
from japagen.commands.main import main
from japagen.store.stages import LLM_STAGES
from japagen.store.store import Store
from japagen.sweeps.folder import DONE, RUNNING, Planned, State
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

Gc = Callable[..., tuple[int, str, str]]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "store").mkdir()
    return Store(tmp_path / "store")


@pytest.fixture
def gc(store: Store, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Gc:
    """Runs the command: exit code, stdout, stderr."""
    monkeypatch.setenv("JAPAGEN_STORE", str(store.root))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(["gc", *arguments])
        captured = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, captured.out, captured.err

    return run


def there(store: Store) -> set[str]:
    return set(read_inventory(store).items)


def test_unneeded_models_go_and_paid_texts_stay(store: Store, gc: Gc) -> None:
    keys = make_arm(store, "1", make_stream(store, "needed"))
    stream = make_stream(store, "idle")
    dataset = make(store, "dataset", "idle d", {"stream": stream})
    make(store, "model", "idle m", {"rows": dataset})
    make(store, "quality", "idle q", {"dataset": dataset})
    report = make(store, "quality", "q", {"dataset": keys["dataset"], "student": None})
    before = contents(store)
    code, out, _ = gc()
    assert code == 0
    assert "nothing was removed" in out
    assert "1 stream(s) or sets of answers" in out
    assert "which took an LLM 60 s" in out
    assert "200 tokens" in out
    assert contents(store) == before
    assert gc("--yes")[0] == 0
    assert there(store) == {*keys.values(), report, stream}
    code, out, _ = gc("--yes", "--streams")
    assert f"stream {stream[:8]}" in out
    assert there(store) == {*keys.values(), report}
    assert "nothing to remove" in gc("--yes", "--streams")[1]


def test_what_was_removed_can_be_made_again(store: Store, gc: Gc) -> None:
    made = make(store, "model", "m", {"rows": "gold:x"})
    gc("--yes")
    assert store.find("model", made) is None
    with store.lock("model", made) as lock:
        store.publish("model", made, lambda out: {"num_train": 3}, {"rows": "gold:x"}, lock)
    assert store.meta("model", made)["num_train"] == 3
    assert there(store) == {made}, "and it stays, being young"
    assert gc("--yes")[0] == 0
    assert there(store) == {made}


def test_an_unfinished_sweep_keeps_what_it_plans(store: Store, gc: Gc) -> None:
    stream = make_stream(store)
    dataset = make(store, "dataset", "d", {"stream": stream})
    make_sweep(store, "began", {"stream": stream, "dataset": dataset, "model": key("m"), "result": key("r")})
    assert "nothing to remove" in gc("--yes", "--streams")[1]
    assert there(store) == {stream, dataset}


def test_what_is_young_is_spared_with_all_that_it_needs(store: Store, gc: Gc) -> None:
    stream = make_stream(store)
    dataset = make(store, "dataset", "d", {"stream": stream})
    model = make(store, "model", "m", {"rows": dataset}, days=2)
    assert "spared: 3 artifact(s)" in gc("--yes", "--streams")[1]
    assert there(store) == {stream, dataset, model}
    gc("--yes", "--older-than", "1")
    assert there(store) == {stream}


def test_forgetting_a_sweep_removes_only_what_no_other_needs(store: Store, gc: Gc) -> None:
    stream = make_stream(store)
    own, shared, single = (make_arm(store, name, stream, days=0) for name in ("own", "shared", "single"))
    report = make(store, "quality", "q", {"dataset": own["dataset"], "student": None}, days=0)
    make_sweep(store, "試し", own, shared)
    make_sweep(store, "other", shared)
    before = contents(store)
    code, out, _ = gc("--forget", "試し")
    assert code == 0
    for part in (f"result {own['result'][:8]}", "quality report", "nothing but what is forgotten needs it", "sweep 試し"):
        assert part in out
    assert contents(store) == before
    gc("--forget", "試し", "--yes")
    assert there(store) == {stream, *shared.values(), *single.values()}
    assert report not in there(store)
    assert list(read_inventory(store).sweeps) == ["other"]
    gc("--forget", "other", "--yes", "--streams")
    assert there(store) == {*single.values()}


def test_forgetting_lets_go_of_half_done_work(store: Store, gc: Gc) -> None:
    make_sweep(store, "trial", {"model": key("m"), "result": key("r")})
    store.work(key("m")).mkdir(parents=True)
    gc("--yes")
    assert store.work(key("m")).is_dir()
    other = make_sweep(store, "other", {"model": key("m"), "result": key("r")}).root
    gc("--yes", "--forget", "trial")
    assert store.work(key("m")).is_dir(), "another sweep goes on with it"
    gc("--yes", "--forget", other.name)
    assert not store.work(key("m")).exists()


def test_a_report_goes_with_its_student(store: Store, gc: Gc) -> None:
    keys = make_arm(store, "1", make_stream(store))
    student = make(store, "model", "gold", {"rows": "gold:x"}, days=0)
    result = make_result(store, "gold r", {"model": student}, {"model": student}, days=0)
    make(store, "quality", "with", {"dataset": keys["dataset"], "student": student}, days=0)
    pruned = make(store, "quality", "pruned", {"dataset": keys["dataset"], "student": key("pruned student")})
    make_sweep(store, "gold", {"model": student, "result": result})
    assert "nothing to remove" in gc("--yes")[1]
    gc("--yes", "--forget", "gold")
    assert there(store) == {*keys.values(), pruned}


def test_a_sweep_that_is_going_on_is_not_forgotten(store: Store, gc: Gc) -> None:
    folder = make_sweep(store, "methods", make_arm(store, "1", make_stream(store)), {"model": key("m"), "result": key("r")})
    folder.write_state("student-0001", State(RUNNING, host="elsewhere", pid=1, started=time.time()))
    before = contents(store)
    code, _, err = gc("--forget", "methods", "--yes")
    assert code == 1
    assert "still going on (student-0001)" in err
    assert contents(store) == before
    folder.write_state("student-0001", State(DONE))
    assert gc("--forget", "methods", "--yes")[0] == 0
    assert not folder.root.exists()


def test_a_sweep_that_is_not_there(store: Store, gc: Gc) -> None:
    code, _, err = gc("--forget", "methods")
    assert code == 1
    assert "it has none" in err
    make_sweep(store, "methods")
    code, _, err = gc("--forget", "method", "--yes")
    assert code == 1, "a name must be whole where things go"
    assert "did you mean 'methods'" in err


def test_what_somebody_works_on_stays(store: Store, gc: Gc) -> None:
    dataset = make(store, "dataset", "d", {"stream": make_stream(store)})
    held = make(store, "model", "held", {"rows": dataset})
    make(store, "model", "free", {"rows": dataset})
    lock_of(store, "model", held)
    assert f"model {held[:8]}" not in gc("--yes")[1]
    assert there(store) == {dataset, held, key("s")}


def test_nothing_goes_while_somebody_makes_what_no_sweep_plans(store: Store, gc: Gc) -> None:
    make(store, "dataset", "d")
    left = store.root / "models" / f".{key('killed')}.0123abcd.tmp"
    left.mkdir(parents=True)
    lock = lock_of(store, "result", key("new"))
    code, out, _ = gc("--yes")
    assert code == 0
    assert "process 1 on elsewhere works on" in out
    assert there(store) == {key("d")}
    assert not left.exists(), "what killed processes left goes all the same"
    lock.unlink()
    gc("--yes")
    assert not there(store)


def test_what_becomes_held_meanwhile_stays_with_its_inputs(store: Store) -> None:
    keys = make_arm(store, "1", make_stream(store))
    make_sweep(store, "trial", keys)
    inventory, plan = make_plan(store, ["trial"], True, 7)
    lock_of(store, "model", keys["model"])
    messages: list[str] = []
    carry_out(inventory, plan, messages.append)
    assert there(store) == {keys["model"], keys["dataset"], keys["stream"]}
    assert list(read_inventory(store).sweeps) == ["trial"], "so that it can be forgotten later"
    assert any("stays: waiting: process 1 on elsewhere holds" in line for line in messages)


def test_a_stream_that_is_written_stays(store: Store, gc: Gc) -> None:
    stream = make_stream(store)
    lock_of(store, "writer", f"{stream}-{'0' * 32}")
    gc("--yes", "--streams")
    assert there(store) == {stream}


def test_what_killed_processes_left_goes(store: Store, gc: Gc) -> None:
    process = multiprocessing.get_context("spawn").Process(target=int)
    process.start()
    process.join()
    assert process.pid is not None
    lock = lock_of(store, "model", key("m"), process.pid, os.uname().nodename)
    silent = lock_of(store, "model", key("silent"))
    os.utime(silent, (time.time() - 2 * 86400,) * 2)
    fresh = lock_of(store, "model", key("fresh"))
    make_sweep(store, "sweep", {"model": key("fresh")})
    lefts = [store.root / "models" / f".{key(name)}.0123abcd.tmp" for name in ("m", "fresh")]
    for left in lefts:
        left.mkdir(parents=True)
    done, old, new = make(store, "model", "done"), key("old"), key("new")
    make_result(store, "r", {"model": done}, {})
    for name in (done, old, new, key("fresh")):
        store.work(name).mkdir(parents=True)
        (store.work(name) / "checkpoint").write_text("x", encoding="utf-8")
    age(store.work(old), 8)
    gc("--yes")
    assert [path.exists() for path in (lock, silent, fresh)] == [False, False, True]
    assert [path.exists() for path in lefts] == [False, True]
    assert [store.work(name).exists() for name in (done, old, new, key("fresh"))] == [False, False, True, True]
    assert done in there(store)


def test_claims_of_dead_writers_go_and_those_of_others_stay(store: Store, gc: Gc) -> None:
    dead, living = make_stream(store, "dead"), make_stream(store, "living")
    for stream in (dead, living):
        claims = store.path("stream", stream) / "claims"
        claims.mkdir()
        for name in ("owner-t", "1-000008.0"):
            (claims / name).write_text("t", encoding="utf-8")
    (store.path("stream", make_stream(store, "done")) / "claims").mkdir()
    lock_of(store, "writer", f"{living}-t")
    assert f"leftover {dead[:8]}" in gc()[1]
    _, out, _ = gc("--yes")
    assert "removed 1" in out
    assert [len(list((store.path("stream", stream) / "claims").iterdir())) for stream in (dead, living)] == [0, 2]
    assert "nothing to remove" in gc("--yes")[1]


def test_incomplete_folders_go_when_they_are_old(store: Store, gc: Gc) -> None:
    for stage, name, days in (("model", "old", 8), ("model", "new", 1), ("stream", "rows", 8)):
        folder = store.path(stage, key(name))
        folder.mkdir(parents=True)
        (folder / "content").write_text("x", encoding="utf-8")
        age(folder, days)
    _, out, _ = gc("--yes")
    assert "incomplete" in out
    assert not store.path("model", key("old")).exists()
    assert store.path("model", key("new")).exists()
    assert store.path("stream", key("rows")).exists()
    gc("--yes", "--streams")
    assert not store.path("stream", key("rows")).exists()


def test_foreign_files_and_links_are_never_touched(store: Store, gc: Gc, tmp_path: Path) -> None:
    made = make(store, "model", "linked")
    shutil.move(store.path("model", made), tmp_path / "big-disk")
    store.path("model", made).symlink_to(tmp_path / "big-disk")
    (store.root / "models" / "notes.md").write_text("mine", encoding="utf-8")
    (store.root / "models" / "my model").mkdir()
    (store.root / "data").mkdir()
    before = contents(store)
    assert "nothing to remove" in gc("--yes", "--streams", "--older-than", "0")[1]
    assert contents(store) == before
    assert (tmp_path / "big-disk" / "meta.json").is_file()


def test_nothing_goes_where_something_cannot_be_read(store: Store, gc: Gc) -> None:
    make(store, "model", "m")
    make_sweep(store, "torn")
    (store.root / "sweeps" / "torn" / "plan.json").write_text("{", encoding="utf-8")
    code, _, err = gc("--yes")
    assert code == 1
    assert "Nothing is removed" in err
    assert there(store) == {key("m")}


def test_no_store_and_an_empty_one(gc: Gc, tmp_path: Path) -> None:
    code, out, _ = gc("--store", str(tmp_path / "nowhere"), "--yes")
    assert (code, "there is no store" in out) == (0, True)
    code, out, _ = gc("--yes")
    assert (code, "nothing to remove" in out) == (0, True)


@pytest.mark.parametrize("days", ["-1", "nan", "inf"])
def test_an_age_that_is_none(gc: Gc, days: str) -> None:
    code, _, err = gc("--older-than", days)
    assert code == 1
    assert "--older-than" in err


def die_after(root: str, num: int) -> None:
    """Forgets the sweep, and is killed while the folder numbered `num` is being deleted."""
    calls = iter(range(100))
    real = shutil.rmtree

    def rmtree(path: Path, ignore_errors: bool = False) -> None:
        if next(calls) == num:
            next(Path(path).iterdir()).unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        real(path, ignore_errors)

    with patch("shutil.rmtree", rmtree):
        carry_out(*make_plan(Store(root), ["trial"], True, 7), print)


@pytest.mark.parametrize("num", range(5))
def test_killed_midway_it_leaves_a_whole_store(store: Store, gc: Gc, num: int) -> None:
    kept = make_arm(store, "kept", make_stream(store, "kept"))
    trial = make_arm(store, "trial", make_stream(store, "trial"))
    make_sweep(store, "trial", trial)
    process = multiprocessing.get_context("fork").Process(target=die_after, args=(str(store.root), num))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    inventory = read_inventory(store)
    assert not inventory.faults
    assert not inventory.incomplete
    assert set(kept.values()) <= set(inventory.items)
    for item in inventory.items.values():
        assert item.inputs <= set(inventory.items), "nothing stands without what it was made from"
    assert gc("--yes", "--streams", *(["--forget", "trial"] if "trial" in inventory.sweeps else []))[0] == 0
    assert there(store) == set(kept.values())
    assert not read_inventory(store).leftovers
    assert not list((store.root / "locks").iterdir())


NOW = 1e9


@st.composite
def inventories(draw: st.DrawFn) -> Inventory:
    """Any graph of artifacts, each made from some that come after it in ORDER; sweeps that plan any of them, and some that aren't there."""
    stages = draw(st.lists(st.sampled_from(ORDER), max_size=12))
    stages.sort(key=ORDER.index)
    names = [key(f"k{number}") for number in range(len(stages) + 2)]  # two are planned and not made
    items = {}
    for number, stage in enumerate(stages):
        later = [other for other in range(number + 1, len(stages)) if stages[other] != stage]
        inputs = {names[other] for other in draw(st.lists(st.sampled_from(later), max_size=3))} if later else set()
        identity = {"dataset": next(iter(sorted(inputs)), key("none"))} if stage == "quality" else {}
        changed = NOW - draw(st.sampled_from([0.0, 30.0])) * 86400
        items[names[number]] = Item(stage, names[number], Extent(Path("/nowhere"), 1, changed), {"identity": identity}, frozenset(inputs))
    plans = st.lists(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True), max_size=3)
    sweeps = {
        name: tuple(Planned("x", "t", {str(index): key for index, key in enumerate(keys)}) for keys in draw(plans)) for name in ("a", "b")
    }
    return Inventory(Store("/nowhere"), items, (), (), {}, (), sweeps, ())


@given(inventories(), st.lists(st.sampled_from(["a", "b"]), unique=True), st.booleans())
def test_nothing_that_is_kept_ever_loses_what_it_needs(inventory: Inventory, forgotten: list[str], streams: bool) -> None:
    plan = plan_removal(inventory, forgotten, streams, 7, NOW)
    gone = [removal.key for removal in plan.removals if removal.kind != SWEEP]
    assert len(gone) == len(set(gone))
    others = {name: planned for name, planned in inventory.sweeps.items() if name not in forgotten}
    named = {made for planned in others.values() for experiment in planned for made in experiment.keys.values()}
    let_go = {made for name in forgotten for experiment in inventory.sweeps[name] for made in experiment.keys.values()} - named
    results = {item.key for item in inventory.items.values() if item.stage == "result"} - let_go
    assert not (inventory.reachable(results | named) & set(gone))
    reports = {item.key for item in inventory.items.values() if item.stage == "quality" and item.inputs & let_go}
    young = {item.key for item in inventory.items.values() if item.extent.changed == NOW} - let_go - reports
    assert not (inventory.reachable(young) & set(gone))
    if not streams:
        assert not [made for made in gone if inventory.items[made].stage in LLM_STAGES]
    assert [made for made in gone if inventory.items[made].stage == "result" and made not in let_go] == []
    left = set(inventory.items)
    for made in gone:
        left.discard(made)
        assert not [key for key in left if made in inventory.items[key].inputs], "killed here, nothing stands without its inputs"
