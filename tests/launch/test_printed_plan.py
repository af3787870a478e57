"""plan=true: what a sweep would take, with nothing started and nothing written."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import pytest
from huggingface_hub import constants

from japagen.experiments.stages import note_session
from japagen.store.store import Store
from japagen.synthesis.generate import StreamProgress
from launch.execute import execute
from launch.planning import plan_experiments
from tests.conftest import Compose
from tests.stubs.streams import fill_stream_of

Outline = Callable[..., list[str]]


@pytest.fixture
def outline(composed: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Outline:
    """Prints the plan of experiments given by their overrides, as on a machine with vLLM for GPUs; its lines."""
    monkeypatch.setattr("launch.printed_plan.installed_build", lambda python=None: "cuda")

    def make(*settings: list[str]) -> list[str]:
        configs = [composed("plan=true", f"store={tmp_path / 'store'}", "logger=none", *own) for own in settings]
        capsys.readouterr()
        assert execute(configs, "sweep") == []
        return capsys.readouterr().out.splitlines()

    return make


def one(lines: list[str], begin: str) -> str:
    (found,) = (line for line in lines if line.startswith(begin))
    return found


def files(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_it_starts_and_writes_nothing(outline: Outline, tmp_path: Path) -> None:
    lines = outline(["task=jcola", "seed=0"], ["task=jcola", "seed=1"])
    assert lines[-1] == "nothing was started (plan=true)"
    assert list(tmp_path.iterdir()) == [], "not even the store's folder"


def test_it_leaves_a_store_as_it_is(outline: Outline, composed: Compose, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    fill_stream_of(plan_experiments([composed("task=jcola", "num_per_label=10")])[0], store)
    before = files(store.root)
    outline(["task=jcola", "num_per_label=10"], ["task=jcola", "num_per_label=20"])
    assert files(store.root) == before


def test_it_counts_each_thing_once(outline: Outline) -> None:
    seeds = [["task=jcola", f"num_per_label={num}", f"seed={seed}", "draw=0"] for num in (100, 50) for seed in (0, 1)]
    lines = outline(*seeds, ["task=jnli", "num_per_label=40"], ["task=jcola", "method=gold"])
    assert one(lines, "plan: ") == "plan: 6 experiment(s), 6 student(s) to train, 0 result(s) in the store already"
    llm = one(lines, "llm-0: ")
    assert "demo, 1 server start(s) on 1 GPU(s): 2 stream(s), 3 data set(s)" in llm
    assert f"{2 * 100 + 4 * 40:,} completions or more" in llm, "a smaller data set is cut from the same stream; a pair's first turn counts"
    assert "tokens and hours not known: demo has written nothing into this store yet" in llm
    assert one(lines, "server starts: ") == "server starts: 1"
    assert one(lines, "students: ") == "students: 6 of demo, hours not known: none was trained in this store yet"
    assert "disk: about " in one(lines, "disk: ")
    assert one(lines, "nodes without") == "nodes without internet would miss nothing"
    assert not any(line.startswith("draws of the data") for line in lines)


def test_the_price_of_draws_is_told(outline: Outline) -> None:
    own = [["task=jcola", f"num_per_label={num}", f"shots={shots}"] for num, shots in ((100, 0), (50, 0), (300_000, 2))]
    lines = outline(*[[*setting, f"seed={seed}"] for setting in own for seed in (0, 1, 2)], ["task=jcola", "method=gold"])
    assert one(lines, "draws of the data") == (
        "draws of the data: up to 3 a setting, 1.8 million texts in 6 streams; draw=0 would take 600,200 texts in 2, and compare single"
        " draws, not methods"
    )


def test_shards_and_other_servers_are_starts(outline: Outline) -> None:
    lines = outline(["task=jcola", "shards=3"], ["task=jcola", "llm.max_model_len=512", "synthesis.seed=1", "shards=3"])
    assert one(lines, "server starts: ") == "server starts: 6"
    assert one(lines, "llm-1: ").startswith("llm-1: demo, 3 server start(s)")


def test_what_is_there_is_not_counted(outline: Outline, composed: Compose, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    (experiment,) = plan_experiments([composed("task=jcola", "num_per_label=10")])
    fill_stream_of(experiment, store)
    folder = store.path("result", experiment.keys["result"])
    lines = outline(["task=jcola", "num_per_label=10"])
    assert one(lines, "server starts: ") == "server starts: 0"
    assert one(lines, "plan: ").endswith("1 student(s) to train, 0 result(s) in the store already")
    more = one(outline(["task=jcola", "num_per_label=100"]), "llm-0: ")
    there = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in store.root.glob("streams/*/rows-*.jsonl"))
    assert f" {200 - there} completions or more" in more
    assert not folder.exists()


def test_rates_are_known_once_the_llm_has_written(outline: Outline, composed: Compose, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    (experiment,) = plan_experiments([composed("task=jcola", "num_per_label=10")])
    fill_stream_of(experiment, store)
    note_session(store.path("stream", experiment.keys["stream"]), StreamProgress(20, 20, 0, 100, 3000, 50.0, new_prompt_tokens=500))
    line = one(outline(["task=jsts", "num_per_label=1200", "llm.price_per_gpu_hour=2.5"]), "llm-0: ")
    rows = 1200 * (len(composed("task=jsts").task.labels) + 1)
    assert f"{rows:,} completions or more; about {rows * 30:,} completion tokens; {rows / 2 / 3600:.2f} GPU hours or more" in line
    assert line.endswith(f"{rows / 2 / 3600 * 2.5:,.2f} by llm.price_per_gpu_hour")
    assert "not known" in one(outline(["task=jsts", "llm.base_url=http://127.0.0.1:9/v1", "llm.id=other"]), "llm-0: "), "another LLM"
    priced = ["llm.price_per_million_tokens=1", "llm.price_per_million_completion_tokens=2", "llm.max_cost=7", "llm.max_tokens_total=9"]
    line = one(outline(["task=jsts", "num_per_label=1200", *priced]), "llm-0: ")
    cost = rows * (5 * 1 + 30 * 2) / 1e6
    assert line.endswith(f"{cost:,.2f} or more by the prices of tokens; each ends at llm.max_cost=7 or llm.max_tokens_total=9")


def test_a_hub_model_that_cannot_be_found_is_told(outline: Outline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    lines = outline(["task=jcola", "model.id=owner/encoder", "model.name=theirs"], ["task=jcola", "llm.id=owner/llm", "llm.name=large"])
    assert "owner/encoder" in one(lines, "not known yet: model.id")
    assert "owner/llm" in one(lines, "not known yet: llm.id")
    assert sum(line.startswith("not on this machine: ") for line in lines) == 2
    assert one(lines, "nodes without") == "nodes without internet would miss 2 of 4 things; `japagen fetch` brings them"
    assert "students: 1 of theirs" in one(lines, "students: 1 of theirs")
    assert lines[-1] == "nothing was started (plan=true)"


def test_questions_on_a_file_that_is_not_here_are_not_counted(outline: Outline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str) -> None:
        raise URLError("no such host")

    monkeypatch.setattr("japagen.gold.published.open_url", refuse)
    monkeypatch.delenv("JAPAGEN_DATA_MIRROR", raising=False)
    lines = outline(["task=jnli", "method=prompting", "data=published", f"data.cache={tmp_path / 'cache'}"])
    assert "0 questions and those on texts that aren't here yet" in one(lines, "llm-0: ")
    assert "(URLError" in one(lines, "not known yet: https://")


def test_an_llm_on_the_cpu_gets_an_estimate_and_no_gpu_hours(outline: Outline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("launch.printed_plan.installed_build", lambda python=None: "cpu")
    line = one(outline(["task=jcola", "num_per_label=1000", "llm.demo=false"]), "llm-0: ")
    assert "1 server start(s) on the CPU" in line
    assert re.search(
        r"on this machine's CPU about \d+ tokens/s with 64 requests open \(estimated from a probe: .*up to .* for replies", line
    )
    line = one(outline(["task=jcola", "num_per_label=1000", "llm.demo=false", "device=cuda"]), "llm-0: ")
    assert "tokens/s" not in line
