"""All that W&B would get, at a stand-in for its server: from `wandb sync`, its own reader of offline runs, and from runs online."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from japagen.tracking import sync_command
from tests.stubs.wandb_standin import FAKE_KEY, LINES, StandIn, wandb_standin
from tests.tracking.conftest import SECRETS, WRITTEN, Made, MakeExperiment, do_run


def sync(made: Made, server: StandIn) -> str:
    """Runs the command that users are told, where it may leave its logs; what it prints."""
    command = sync_command(made.wandb_folder)
    assert command is not None
    environment = {**os.environ, "WANDB_BASE_URL": server.url, "WANDB_API_KEY": FAKE_KEY}
    home = made.store.root.parent
    done = subprocess.run(["bash", "-c", command], cwd=home, env=environment, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout + done.stderr


@pytest.mark.parametrize("method", ["japagen", "mixed", "annotate_japagen"])
def test_what_reaches_wandb_has_scores_and_lineage_but_no_text_of_gold_or_users(
    make_experiment: MakeExperiment, method: str, tmp_path: Path
) -> None:
    made = make_experiment(f"method={method}", "logger.upload=all")
    do_run(made)
    keys = made.experiment.keys
    with wandb_standin() as server:
        printed = sync(made, server)
    assert "Finished syncing" in printed
    manifests = [content for path, content in server.files if path == "/manifest"]
    server.files = [(path, content) for path, content in server.files if path != "/manifest"]
    sent = server.everything
    for secret in (*SECRETS, str(tmp_path), FAKE_KEY):
        assert secret not in sent
    for manifest in manifests:  # W&B's own, with the places from which files were uploaded
        assert not any(secret in manifest.decode() for secret in (*SECRETS, FAKE_KEY))
    first = server.sent("UpsertBucket")[0]
    assert (first["name"], first["groupName"], first["project"]) == (keys["result"], "sweep-1", "japagen")
    assert not first["host"]
    assert "gold/valid/accuracy" in sent
    made_by_run = {sent["input"]["artifactCollectionName"]: sent["input"]["runName"] for sent in server.sent("CreateArtifact")}
    assert made_by_run[f"model-{keys['model']}"] == keys["result"]
    used = [sent["input"]["artifactID"] for sent in server.sent("UseArtifact")]
    if method == "annotate_japagen":
        assert not used
        assert WRITTEN not in sent
    else:
        assert used == [f"dataset-{keys['dataset']}"]
        assert made_by_run[f"dataset-{keys['dataset']}"] is None, "an input of the run"
        assert WRITTEN in sent
    assert sync_command(made.wandb_folder) is None, "uploaded once"


def offsets(server: StandIn) -> list[int]:
    """Where in the run's curve each piece was to go."""
    pieces = [json.loads(body) for path, body in server.streams if path.endswith("/file_stream")]
    return [piece["files"]["wandb-history.jsonl"]["offset"] for piece in pieces if "wandb-history.jsonl" in (piece.get("files") or {})]


def test_online_a_run_that_starts_again_goes_on_behind_its_curve(make_experiment: MakeExperiment, monkeypatch: pytest.MonkeyPatch) -> None:
    made, messages = make_experiment("logger.upload=all"), []
    with wandb_standin() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
        do_run(made, messages)
        first = offsets(server)
        server.streams.clear()
        do_run(made, messages)
    assert not messages
    keys = made.experiment.keys
    assert {bucket["name"] for bucket in server.sent("UpsertBucket")} == {keys["result"]}
    assert (first[0], offsets(server)[0]) == (0, LINES)
    assert {sent["input"]["artifactID"] for sent in server.sent("UseArtifact")} == {f"dataset-{keys['dataset']}"}
    assert not any(secret in server.everything for secret in (*SECRETS, FAKE_KEY))
