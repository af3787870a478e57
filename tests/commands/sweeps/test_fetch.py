"""`japagen fetch`: huggingface_hub's real downloads from a hub on this machine; what is there, what fails, what goes on."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import constants

from japagen.commands.sweeps import fetch as fetch_module
from japagen.config.composition import compose_sweep
from japagen.hub.models import PACKAGE
from tests.conftest import ROOT
from tests.stubs.stub_hub import COMMIT, StubHub, serving

SHARDS = {"model-00001-of-00002.safetensors": b"1" * 5000, "model-00002-of-00002.safetensors": b"2" * 7000}
INDEX = {"model.safetensors.index.json": json.dumps({"weight_map": dict(zip("ab", SHARDS, strict=True))}).encode()}
LOADED = {"config.json": b"{}", "tokenizer.json": b"{}", "modeling_own.py": b"", **INDEX, **SHARDS}
OTHERS = {"README.md": b"-", "pytorch_model.bin": b"-", "model.gguf": b"-", "onnx/model.onnx": b"-", "original/all.safetensors": b"-"}
SETTINGS = ["llm.id=owner/llm", "model.id=owner/encoder", "logger=none"]


def demo_files(name: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (PACKAGE / "demo" / name).iterdir()}


@pytest.fixture
def hub() -> Iterator[StubHub]:
    with serving(StubHub({"owner/llm": LOADED | OTHERS, "owner/encoder": demo_files("encoder") | {"tf_model.h5": b"-"}})) as stub:
        yield stub


def environment(hub: StubHub, home: Path, **more: str) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "TRANSFORMERS_"))}
    return ours | {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1", "COLUMNS": "400"} | more


def start(hub: StubHub, home: Path, *arguments: str, **more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "japagen", "fetch", *arguments], cwd=ROOT, env=environment(hub, home, **more), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def fetch(hub: StubHub, home: Path, *arguments: str, **more: str) -> tuple[int, str, str]:
    with start(hub, home, *arguments, **more) as process:
        out, err = process.communicate(timeout=200)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def snapshot(home: Path, name: str) -> Path:
    return home / "hub" / f"models--owner--{name}" / "snapshots" / COMMIT


def test_what_is_loaded_is_brought_once_and_nothing_else(hub: StubHub, tmp_path: Path) -> None:
    code, out, err = fetch(hub, tmp_path, "-m", "task=jnli,jsts", "shots=0,2", *SETTINGS)
    assert code == 0, out + err
    assert {path.name for path in snapshot(tmp_path, "llm").iterdir()} == set(LOADED)
    assert "tf_model.h5" not in {path.name for path in snapshot(tmp_path, "encoder").iterdir()}
    assert len(hub.sent) == len(set(hub.sent))
    assert f"llm demo (owner/llm): fetched, 12.1 kB, commit {COMMIT}" in out
    assert f"encoder demo (owner/encoder): fetched, 8.9 MB, commit {COMMIT}" in out
    assert f"  llm=demo: revision {COMMIT}\n  model=demo: revision {COMMIT}\n" in out
    assert f"as overrides: llm.revision={COMMIT} model.revision={COMMIT}" in out
    brought = len(hub.sent)
    code, out, _ = fetch(hub, tmp_path, "task=jnli", *SETTINGS)
    assert (code, len(hub.sent)) == (0, brought)
    assert out.count(f"present, 12.1 kB, commit {COMMIT}") == 1


def test_after_it_nothing_is_asked_of_the_hub(hub: StubHub, tmp_path: Path) -> None:
    assert fetch(hub, tmp_path, *SETTINGS)[0] == 0
    program = (
        "from japagen.hub.models import resolve_revision, locate\n"
        "from transformers import AutoModelForSequenceClassification, AutoTokenizer\n"
        "commit = resolve_revision('owner/encoder', None)\n"
        "AutoTokenizer.from_pretrained('owner/encoder', revision=commit)\n"
        "AutoModelForSequenceClassification.from_pretrained('owner/encoder', revision=commit)\n"
        "print(commit)"
    )
    env = environment(hub, tmp_path, HF_HUB_OFFLINE="1", HF_ENDPOINT="http://127.0.0.1:9")
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=env, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == COMMIT


def test_a_failure_is_named_and_the_others_are_had(hub: StubHub, tmp_path: Path) -> None:
    second = list(SHARDS)[1]
    hub.failing = {second}
    code, out, _ = fetch(hub, tmp_path, *SETTINGS)
    assert code == 1
    assert "llm demo (owner/llm): FAILED: " in out
    assert "500" in out
    assert "1 of 2 could not be had" in out
    assert f"  model=demo: revision {COMMIT}" in out
    hub.failing = set()
    hub.sent.clear()
    code, out, _ = fetch(hub, tmp_path, *SETTINGS)
    assert code == 0
    assert hub.sent == [f"owner/llm/{second}"]


def test_a_killed_download_goes_on_with_the_files_that_miss(hub: StubHub, tmp_path: Path) -> None:
    second = list(SHARDS)[1]
    hub.stalling = {second}
    with start(hub, tmp_path, *SETTINGS, HF_HUB_DOWNLOAD_TIMEOUT="60") as process:
        assert hub.stalled.wait(100)
        others = [snapshot(tmp_path, "llm") / name for name in LOADED if name != second]
        for _ in range(1000):
            if all(path.is_file() for path in others):
                break
            hub.released.wait(0.05)
        process.kill()
    hub.released.set()
    hub.stalling = set()
    hub.sent.clear()
    code, out, err = fetch(hub, tmp_path, *SETTINGS)
    assert code == 0, out + err
    assert [name for name in hub.sent if name.startswith("owner/llm")] == [f"owner/llm/{second}"]
    assert (snapshot(tmp_path, "llm") / second).read_bytes() == SHARDS[second]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["llm.id=owner/nothing"], "has no such model (or it is private: set HF_TOKEN); check llm.id"),
        (["llm.id=owner/llm", "llm.revision=v9"], "it has no revision 'v9'; check llm.revision"),
        (["llm.id=owner/gated"], "its makers ask for consent: accept the terms at "),
        (["llm.id=owner/bare"], "the hub's files are not enough to load it: commit 01234567 lacks weights"),
        (["llm.id=/no/such/folder"], "llm.id='/no/such/folder': there is no folder"),
        (["data=files", "data.eval_file=/no/such.csv"], "gold jnli valid (/no/such.csv): FAILED: there is no such file"),
        (["task=marcja", "data=published"], "can't be downloaded: Amazon has withdrawn"),
    ],
)
def test_what_cannot_be_had_is_told_with_its_cure(hub: StubHub, tmp_path: Path, settings: list[str], words: str) -> None:
    hub.models |= {"owner/gated": LOADED, "owner/bare": {"config.json": b"{}", "tokenizer.json": b"{}"}}
    hub.gated = {"owner/gated"}
    code, out, _ = fetch(hub, tmp_path, *settings)
    assert code == 1
    assert words in out
    assert "1 of " in out


def test_without_the_hub_what_is_there_is_enough(hub: StubHub, tmp_path: Path) -> None:
    assert fetch(hub, tmp_path, *SETTINGS)[0] == 0
    code, out, _ = fetch(hub, tmp_path, *SETTINGS, HF_ENDPOINT="http://127.0.0.1:9")
    assert code == 0
    assert f"present, 12.1 kB, commit {COMMIT}" in out


def test_offline_is_said_at_once(hub: StubHub, tmp_path: Path) -> None:
    code, out, err = fetch(hub, tmp_path, *SETTINGS, HF_HUB_OFFLINE="1")
    assert (code, out) == (1, "")
    assert "HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) is set, so owner/llm, owner/encoder can't be downloaded; unset it" in err


def test_the_cache_of_the_sites_jobs_is_filled(hub: StubHub, tmp_path: Path) -> None:
    code, _, _ = fetch(hub, tmp_path / "own", *SETTINGS, f"+site.environment.HF_HOME={tmp_path / 'shared'}")
    assert code == 0
    assert snapshot(tmp_path / "shared", "llm").is_dir()
    assert not (tmp_path / "own" / "hub").exists()


@pytest.mark.slow
@pytest.mark.vllm
def test_a_run_without_internet_takes_what_was_fetched(hub: StubHub, tmp_path: Path) -> None:
    others = {name: content for name, content in OTHERS.items() if name != "README.md"}
    hub.models["owner/llm"] = demo_files("llm") | others  # vLLM must not miss, nor try, what was left out
    assert fetch(hub, tmp_path, *SETTINGS)[0] == 0
    store = tmp_path / "store"
    settings = [
        "task=jcola",
        "num_per_label=8",
        "train.epochs=1",
        "train.min_steps=20",
        *SETTINGS,
        f"store={store}",
        f"hydra.run.dir={store}/hydra",
    ]
    env = environment(hub, tmp_path, HF_HUB_OFFLINE="1", HF_ENDPOINT="http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "run.py", *settings], cwd=ROOT, env=env, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert COMMIT in next(store.glob("streams/*/meta.json")).read_text(encoding="utf-8")


HYDRAS_OWN = """
import json, runpy, sys
from dataclasses import asdict
import launch.sweep

def show(compositions, master, job_overrides, *_):
    print(json.dumps([asdict(compositions.config(master, overrides)) for overrides in job_overrides]))
    sys.exit(0)

launch.sweep.launch_sweep = show
sys.argv = ["run.py", "-m", *sys.argv[1:]]
runpy.run_path("run.py", run_name="__main__")
"""
"""Prints the configuration of every job that Hydra's own sweeper hands to our launcher."""


def test_sweeps_are_composed_as_hydra_does(tmp_path: Path) -> None:
    overrides = ["+experiment=quickstart", "task=jcola,jnli", "seed=range(0,3,2)", "prompt=choice(base,kadg)", "train.epochs=2"]
    done = subprocess.run(
        [sys.executable, "-c", HYDRAS_OWN, *overrides, f"hydra.sweep.dir={tmp_path}"], cwd=ROOT, capture_output=True, text=True,
        timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    configs = compose_sweep(["-m", *overrides])
    assert len(configs) == 2 * 2 * 2 * 2, "two tasks, two shots from the experiment, two seeds, two prompts"
    assert json.loads(done.stdout) == json.loads(json.dumps([asdict(config) for config in configs]))


def test_one_value_of_a_setting_that_does_not_matter_will_do() -> None:
    configs = compose_sweep(["task=jnli,jsts", "seed=0,1,2"], one_of=["seed"])
    assert [config.task.name for config in configs] == ["jnli", "jsts"]
    assert len(compose_sweep([])) == 1


def test_a_folder_of_ones_own_is_read_by_sweeps(tmp_path: Path) -> None:
    (tmp_path / "task").mkdir()
    task = "name: mine\nsystem: 文を書きます。\nfields: [text]\nlabels:\n- {name: a, instruction: 甲}\n- {name: b, instruction: 乙}\n"
    (tmp_path / "task" / "mine.yaml").write_text(task, encoding="utf-8")
    assert [config.task.name for config in compose_sweep(["task=mine,jnli"], tmp_path)] == ["mine", "jnli"]


def test_a_disk_that_is_too_small_is_told_before_the_download(
    hub: StubHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=1000))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(fetch_module, "_on_hub", lambda item: (COMMIT, ["config.json"], 5000))
    assert fetch_module.main(["llm.id=owner/llm", "logger=none"]) == 1
    assert f"5.0 kB are needed and {tmp_path} has 1.0 kB free; make room, or set HF_HOME" in capsys.readouterr().out
    assert hub.sent == []
