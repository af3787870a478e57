"""`japagen why`: what is stored, what would be made anew and why, by settings and by keys; and the same in a plan."""

from collections.abc import Callable
from pathlib import Path

import pytest

from japagen.commands.main import main
from japagen.experiments.experiment import Experiment
from japagen.experiments.planning import Planner
from japagen.store.files import write_json
from japagen.store.store import Store, artifact_meta
from japagen.sweeps.folder import SweepFolder
from launch.execute import execute
from launch.planning import plan_units, planned
from tests.conftest import Compose
from tests.stubs.made_store import contents

Why = Callable[..., tuple[int, str, str]]
PLAIN = ("task=jcola", "logger=none")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    (tmp_path / "store").mkdir()
    monkeypatch.setenv("JAPAGEN_STORE", str(tmp_path / "store"))
    return Store(tmp_path / "store")


@pytest.fixture
def why(capsys: pytest.CaptureFixture[str]) -> Why:
    """Runs the command: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(["why", *arguments])
        captured = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, captured.out, captured.err

    return run


@pytest.fixture
def made(composed: Compose, store: Store) -> Experiment:
    """An experiment whose artifacts the store has, with nothing in them."""
    experiment = Planner().plan(composed(*PLAIN))
    for stage, key in experiment.keys.items():
        store.path(stage, key).mkdir(parents=True)
        write_json(store.path(stage, key) / "meta.json", artifact_meta(stage, key, experiment.identities[stage]))
    return experiment


def test_settings_show_each_stage_and_one_cause(why: Why, made: Experiment, store: Store) -> None:
    before = contents(store)
    code, out, err = why(*PLAIN, "num_per_label=20", "train.epochs=9")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"stream {made.keys['stream'][:8]}: stored; a run asks for what is missing and adds it"
    assert lines[1].startswith("data set ")
    assert lines[1].endswith(": not stored")
    assert lines[2].startswith(f"  nearest data set {made.keys['dataset'][:8]}, made 20")
    assert lines[3] == "    num_per_label 300 -> 20"
    assert lines[6:8] == ["    train.epochs 4 -> 9", f"    another data set, {made.keys['dataset'][:8]}: see above"]
    assert lines[-1] == f"    another model, {made.keys['model'][:8]}: see above"
    assert contents(store) == before


def test_what_is_stored_is_not_compared_and_what_is_not_needed_is_said(why: Why, made: Experiment, store: Store) -> None:
    folder = store.path("model", made.keys["model"])
    (folder / "meta.json").unlink()
    folder.rmdir()
    out = why(*PLAIN)[1]
    assert f"model {made.keys['model'][:8]}: not stored, and not needed: what it is for is stored" in out
    assert "nearest" not in out


def test_an_empty_store_has_nothing_to_compare_with(why: Why, store: Store, tmp_path: Path) -> None:
    code, out, _ = why(*PLAIN)
    assert code == 0
    assert "the store has no other stream to compare with" in out
    assert why(*PLAIN, "--store", str(tmp_path / "none"))[0] == 0


def test_a_key_is_followed_to_what_it_was_made_from(why: Why, made: Experiment, store: Store, composed: Compose) -> None:
    other = Planner().plan(composed(*PLAIN, "synthesis.seed=1"))
    for stage in ("stream", "dataset"):
        folder = store.path(stage, other.keys[stage])
        folder.mkdir(parents=True)
        write_json(folder / "meta.json", artifact_meta(stage, other.keys[stage], other.identities[stage]))
    code, out, _ = why(made.keys["result"][:10])
    assert code == 0
    assert [line.partition(" ")[0] for line in out.splitlines() if not line.startswith(" ")] == ["stream", "data", "model", "result"]
    assert "    synthesis.seed 1 -> 0" in out
    assert f"    another stream, {other.keys['stream'][:8]}: see above" in out
    assert "the store has no other model to compare with" in out
    (store.path("stream", made.keys["stream"]) / "meta.json").unlink()
    assert f"stream {made.keys['stream'][:8]}: the store has it no more" in why(made.keys["dataset"])[1]


def test_a_key_that_a_sweep_plans_is_known(why: Why, made: Experiment, store: Store, composed: Compose) -> None:
    config = composed(*PLAIN, "train.epochs=9", f"store={store.root}")
    experiment = Planner().plan(config)
    SweepFolder.create(store, "monday", [config], planned([experiment]), plan_units([experiment], store))
    code, out, _ = why(experiment.keys["model"][:8])
    assert code == 0
    assert "    train.epochs 4 -> 9" in out
    code, _, err = why("0000")
    assert code == 1
    assert "nothing in the store" in err


def test_faults_are_named(why: Why, store: Store) -> None:
    for arguments, words in {
        ("abcd", "task=jcola"): "name one key, or settings as run.py takes them, and not both",
        ("abcd", "abce"): "name one key",
        ("task=jkola",): "task='jkola' is not known",
        ("num_per_label=0",): "num_per_label=0 is too small",
    }.items():
        code, _, err = why(*arguments)
        assert code == 1, arguments
        assert words in err


def test_a_plan_says_so_in_short(made: Experiment, store: Store, composed: Compose, capsys: pytest.CaptureFixture[str]) -> None:
    configs = [composed(*PLAIN, "plan=true", f"store={store.root}", f"train.epochs={num}") for num in (4, 9)]
    execute(configs, "sweep")
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("made anew: ")] == [
        "made anew: model: train.epochs 4 -> 9"
    ]
