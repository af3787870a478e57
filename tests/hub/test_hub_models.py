"""Models of the hub: their ids, commits and loading code are the real ones, over a cache that we fill with our own models."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from japagen.hub.models import PACKAGE
from tests.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.vllm]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A hub cache that holds owner/encoder and owner/llm."""
    for name in ("encoder", "llm"):
        folder = tmp_path / "hub" / f"models--owner--{name}"
        (folder / "refs").mkdir(parents=True)
        (folder / "refs" / "main").write_text(COMMIT, encoding="utf-8")
        (folder / "snapshots").mkdir()
        (folder / "snapshots" / COMMIT).symlink_to(PACKAGE / "demo" / name)
    return tmp_path


def test_hub_models_are_loaded_at_their_commit(cache: Path) -> None:
    settings = [
        "task=jcola",
        "num_per_label=8",
        "train.epochs=1",
        "train.min_steps=20",
        "logger=none",
        "llm.id=owner/llm",
        "model.id=owner/encoder",
    ]
    store = cache / "store"
    printed = subprocess.run(
        [sys.executable, "run.py", *settings, f"store={store}", f"hydra.run.dir={store}/hydra"], cwd=ROOT, capture_output=True, text=True,
        timeout=400, check=False, env={**os.environ, "HF_HOME": str(cache), "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert printed.returncode == 0, printed.stdout + printed.stderr
    meta = next(store.glob("streams/*/meta.json")).read_text(encoding="utf-8")
    assert COMMIT in meta
    assert COMMIT in next(store.glob("models/*/README.md")).read_text(encoding="utf-8")
