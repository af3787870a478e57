"""A search is judged by validation rows that are the same for all trials, and by nothing else."""

import json
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from hydra.core.utils import JobStatus
from omegaconf import DictConfig, OmegaConf

from japagen.errors import ConfigError, JapagenError
from japagen.experiments.result import Result, read_result
from japagen.reporting.run_table import Failure
from launch.search import PLUGIN, SWEEPER, Space, check_searchable, is_search, judge_trials, make_optuna_sweeper, read_space
from tests.conftest import ROOT, Compose
from tests.stubs.results import RESULT

needs_plugin = pytest.mark.skipif(find_spec(PLUGIN) is None, reason="hydra-optuna-sweeper is not installed")
RATE = "train.learning_rate=tag(log,interval(1e-5,5e-3))"
SPACE = Space({"task": "jcola"}, {"train.epochs": ["2", "4"], "model": ["demo", "bert"]})


def master(*overrides: str, **params: str) -> DictConfig:
    return OmegaConf.create({"hydra": {"sweeper": {"_target_": SWEEPER, "params": params or None}, "overrides": {"task": list(overrides)}}})


def scored(best: float | None, gold: float = 0.9) -> Result:
    return replace(RESULT, training={"best_score": best}, metrics={"accuracy": {"value": gold, "low": gold, "high": gold}})


def test_the_space_is_what_has_several_values() -> None:
    space = read_space(
        master("task=jcola", RATE, "train.epochs=2,4", "+train.patience=choice(1,2)", "train.batch_size=range(8,32,8)", seed="1")
    )
    assert space.fixed == {"seed": "1", "task": "jcola"}
    assert space.dimensions == {
        "train.learning_rate": ["1e-05", "0.005"],
        "train.epochs": ["2", "4"],
        "+train.patience": ["1", "2"],
        "train.batch_size": ["8", "32"],
    }


def test_each_value_stands_in_a_corner_once() -> None:
    assert SPACE.corners() == [
        ["task=jcola", "train.epochs=2", "model=demo"],
        ["task=jcola", "train.epochs=4", "model=demo"],
        ["task=jcola", "train.epochs=2", "model=bert"],
    ]


def test_what_is_given_on_the_command_line_replaces_what_an_experiment_searches() -> None:
    space = read_space(master("train.epochs=3", RATE, **{"train.epochs": "choice(2,4)"}))
    assert list(space.dimensions) == ["train.learning_rate"]
    assert space.fixed == {"train.epochs": "3"}


@pytest.mark.parametrize(
    "override",
    [
        "task=jcola,jsts",
        "llm=demo,qwen3-4b",
        "method=japagen,gold",
        "num_per_label=choice(50,100)",
        "curate.near_duplicates=interval(0.5,1.0)",
        "data.split=valid,test",
        "shots=0,3",
        "seed=0,1",
        "synthesis.seed=range(0,3)",
        "trainer=a,b",
    ],
)
def test_what_decides_the_validation_rows_is_not_searched(override: str) -> None:
    with pytest.raises(ConfigError, match=r"can't be searched.*allowed: train\.\* and model"):
        read_space(master(RATE, override))


def test_there_must_be_something_to_search() -> None:
    with pytest.raises(ConfigError, match="nothing to search"):
        read_space(master("task=jcola"))
    with pytest.raises(ConfigError, match=r"name its values: model=choice"):
        read_space(master("model=glob(*)"))


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["method=gold", "gold_per_label=4"], "method=gold with gold_per_label=4 has none; set gold_per_label=all"),
        (["method=prompting"], "method=prompting has no student"),
        (["plan=true"], "plan=true gives no scores"),
        (["wait=false"], "wait=false gives no scores"),
    ],
)
def test_an_experiment_without_validation_rows_is_not_searched(composed: Compose, overrides: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check_searchable(composed(*overrides))


def test_an_experiment_with_validation_rows_is_searched(composed: Compose) -> None:
    for overrides in ([], ["method=gold"], ["method=mixed", "gold_per_label=4"]):
        check_searchable(composed(*overrides))


def test_a_trial_is_worth_its_score_on_validation_rows(capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = [scored(0.25), scored(0.5, gold=0.1), scored(None), scored(float("nan")), Failure("jnli", "jnli", "the disk is full")]
    overrides = [["task=jcola", f"train.epochs={number}", "model=demo"] for number in range(len(outcomes))]
    returns = judge_trials(overrides, outcomes, 0, SPACE)
    assert [job.return_value for job in returns[:2]] == [0.25, 0.5]
    assert [job.status for job in returns] == [JobStatus.COMPLETED] * 2 + [JobStatus.FAILED] * 3
    printed = capsys.readouterr().out
    assert "trial 0: train.epochs=0 model=demo: 0.2500" in printed
    assert "trial 2: train.epochs=2 model=demo: 20 validation rows on which accuracy has no value" in printed
    assert "trial 4: train.epochs=4 model=demo: failed: the disk is full" in printed
    assert "task=jcola" not in printed


def test_a_first_batch_without_a_value_ends_the_search() -> None:
    failed = [Failure("jnli", "jnli", "the disk is full")]
    with pytest.raises(JapagenError, match=r"first batch.*the disk is full"):
        judge_trials([["train.epochs=2"]], failed, 0, SPACE)
    assert judge_trials([["train.epochs=2"]], failed, 4, SPACE)[0].status == JobStatus.FAILED


def test_other_sweeps_are_no_searches() -> None:
    assert is_search(master(RATE))
    assert not is_search(OmegaConf.create({"hydra": {"sweeper": {"_target_": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"}}}))
    assert not is_search(DictConfig({}))


def test_the_plugin_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("launch.search.PLUGIN", "hydra_plugins.there_is_no_such")
    with pytest.raises(ConfigError, match=r"needs hydra-optuna-sweeper; pip install -c constraints\.txt -e '\.\[search\]'"):
        make_optuna_sweeper({})


@needs_plugin
def test_a_grid_is_an_ordinary_sweep() -> None:
    with pytest.raises(ConfigError, match=r"sampler=grid isn't supported; a sweep tries every choice"):
        make_optuna_sweeper({"sampler": OmegaConf.create({"_target_": "optuna.samplers.GridSampler", "_partial_": True})})


def search(store: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Three trials in batches of two: gold rows to learn from, so that no LLM is needed."""
    settings = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=2", "task=jcola", "method=gold", "data=files"]
    rows = [f"data.train_file={ROOT}/japagen/data/sample/jcola/valid.jsonl", f"data.eval_file={store.parent}/eval.jsonl"]
    folders = [f"store={store}", f"hydra.sweep.dir={store}/hydra", "logger=none"]
    command = [sys.executable, "run.py", "-m", *settings, *rows, *folders, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def write_eval(store: Path, flipped: bool) -> None:
    lines = (ROOT / "japagen/data/sample/jcola/train.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    for row in rows:
        row["label"] = 1 - row["label"] if flipped else row["label"]
    (store.parent / "eval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@needs_plugin
@pytest.mark.slow
def test_scored_rows_decide_nothing_and_trials_are_found_again(tmp_path: Path) -> None:
    store = tmp_path / "store"
    write_eval(store, flipped=False)
    first = search(store, RATE, "train.epochs=choice(1,2)")
    assert first.returncode == 0, first.stdout + first.stderr
    results = [read_result(path) for path in sorted((store / "results").iterdir())]
    assert len(results) == 3, "the validation rows of all trials are the same, the settings are not"
    found = (store / "hydra" / "optimization_results.yaml").read_text(encoding="utf-8")
    best = OmegaConf.create(found)
    values = [result.training["best_score"] for result in results]
    assert best.best_value == pytest.approx(max(values))
    assert set(best.best_params) == {"train.learning_rate", "train.epochs"}
    assert f"search: best on validation rows, {max(values):.4f}: train.learning_rate=" in first.stdout
    assert [line.split(":")[0].strip() for line in first.stdout.splitlines() if line.startswith("  trial ")] == [
        "trial 0",
        "trial 1",
        "trial 2",
    ]
    assert len(list((store / "sweeps").iterdir())) == 2, "a folder for each batch"

    write_eval(store, flipped=True)
    again = search(store, RATE, "train.epochs=choice(1,2)")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "training demo" not in again.stdout, "the same trials, whose students the store has"
    assert (store / "hydra" / "optimization_results.yaml").read_text(encoding="utf-8") == found
    everything = [read_result(path) for path in (store / "results").iterdir()]
    scores = {(one.keys["model"], str(one.primary)) for one in everything}
    assert len(everything) == len(scores) == 6, "each student has another score on the other gold rows"
    assert {one.keys["model"] for one in everything} == {one.keys["model"] for one in results}


@needs_plugin
@pytest.mark.slow
def test_a_failed_trial_stops_no_search(tmp_path: Path) -> None:
    store = tmp_path / "store"
    write_eval(store, flipped=False)
    done = search(store, "train.learning_rate=choice(1e-3,1e30)", "train.epochs=1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "train.learning_rate=1e+30: failed: the training loss is nan" in done.stdout
    assert OmegaConf.load(store / "hydra" / "optimization_results.yaml").best_params["train.learning_rate"] == 1e-3


@needs_plugin
def test_a_value_that_cannot_be_run_is_told_before_the_first_trial(tmp_path: Path) -> None:
    done = search(tmp_path / "store", "train.epochs=choice(1,2,0)")
    assert done.returncode == 1
    assert "1 of 3 experiments can't be run, so none was started" in done.stderr
    assert "train.epochs=0 is too small" in done.stderr
    assert not (tmp_path / "store").exists()
