"""W&B: when it is online, and that nothing of this machine or of anybody's texts is sent."""

import json
import subprocess
from pathlib import Path
from typing import Any, ClassVar

import pytest

from japagen.methods import plan_experiment
from japagen.tracking import Tracker, _tracked_config, log_found, run_name, sync_command, track, wandb_mode
from tests.conftest import Compose
from tests.reporting.test_table import RESULT


@pytest.fixture(autouse=True)
def logged_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_SWEEP_ID", "WANDB_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_auto_is_offline_without_a_login_and_online_with_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert wandb_mode("auto") == "offline"
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password 0\n", encoding="utf-8")
    (tmp_path / ".netrc").chmod(0o600)
    assert wandb_mode("auto") == "online"
    (tmp_path / ".netrc").unlink()
    monkeypatch.setenv("WANDB_API_KEY", "0")
    assert wandb_mode("auto") == "online"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert wandb_mode("auto") == "off"


@pytest.mark.parametrize("setting", ["online", "offline", "off"])
def test_a_setting_is_obeyed(setting: str) -> None:
    assert wandb_mode(setting) == setting


def test_the_tracked_config_has_no_paths_and_no_exemplars(composed: Compose) -> None:
    experiment = plan_experiment(composed("shots=2", "store=/secret/place", "data.cache=/secret/cache"))
    sent = json.dumps(_tracked_config(experiment), ensure_ascii=False)
    assert "/secret" not in sent
    for examples in experiment.exemplars.values():
        assert not any(example.texts[0] in sent for example in examples)


def test_off_starts_nothing(composed: Compose, tmp_path: Path) -> None:
    experiment = plan_experiment(composed("logger=none"))
    with track(experiment, "group", tmp_path / "wandb") as tracker:
        assert tracker.on_metrics is None
    assert not (tmp_path / "wandb").exists()


def test_the_final_score_stands_apart_from_synthetic_validation() -> None:
    class Run:
        summary: ClassVar[dict[str, Any]] = {}

    Tracker(Run()).log_result(RESULT)
    assert Run.summary["gold/valid/accuracy"] == 0.5
    assert Run.summary["gold/valid/accuracy_interval"] == [0.4, 0.6]
    assert Run.summary["baseline/majority"] == 0.33
    assert not any(name.startswith("valid/") for name in Run.summary)


def test_a_sweeps_search_reads_what_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    class Run:
        summary: ClassVar[dict[str, Any]] = {}
        logged: ClassVar[list[dict[str, Any]]] = []

        def log(self, values: dict[str, Any]) -> None:
            self.logged.append(values)

    Tracker(Run()).log_result(RESULT)
    assert not Run.logged, "no agent: curves and summary only"
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep")
    monkeypatch.setenv("WANDB_RUN_ID", "run")
    Tracker(Run()).log_result(RESULT)
    assert Run.logged == [{"gold/primary": 0.5, "gold/valid/accuracy": 0.5}]


def test_a_result_that_was_known_is_logged_for_an_agent_only(composed: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = plan_experiment(composed())
    log_found(experiment, RESULT, "group", tmp_path / "wandb")
    assert not (tmp_path / "wandb").exists()
    monkeypatch.setenv("WANDB_SWEEP_ID", "sweep")
    monkeypatch.setenv("WANDB_RUN_ID", "run")
    log_found(plan_experiment(composed("logger=none")), RESULT, "group", tmp_path / "wandb")
    assert not (tmp_path / "wandb").exists()


def test_offline_runs_that_are_left_to_upload(tmp_path: Path) -> None:
    folder = tmp_path / "my store" / "wandb"
    assert sync_command(folder) is None
    for number in (1, 2):
        (folder / "wandb" / f"offline-run-{number}").mkdir(parents=True)
        (folder / "wandb" / f"offline-run-{number}" / "run.wandb").touch()
    command = sync_command(folder)
    assert command is not None
    expanded = subprocess.run(["bash", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True).stdout.splitlines()
    assert expanded[1:] == ["sync", *(str(folder / "wandb" / f"offline-run-{number}") for number in (1, 2))]
    assert Path(expanded[0]).is_file()
    for number in (1, 2):
        assert sync_command(folder) == command
        (folder / "wandb" / f"offline-run-{number}" / "run.wandb.synced").touch()
    assert sync_command(folder) is None


def test_runs_of_both_prompts_have_names_of_their_own(composed: Compose) -> None:
    base, kadg = (run_name(plan_experiment(composed(f"prompt={prompt}"))) for prompt in ("base", "kadg"))
    assert base == "jnli-japagen-0-shot-demo-demo-seed0"
    assert kadg == "jnli-japagen-0-shot-kadg-demo-demo-seed0"
