"""W&B: when it is online, and that nothing of this machine or of anybody's texts is sent."""

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest

from japagen.methods import plan_experiment
from japagen.tracking import Tracker, _tracked_config, run_name, track, wandb_mode
from tests.conftest import Compose
from tests.reporting.test_table import RESULT


@pytest.fixture(autouse=True)
def logged_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
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


def test_runs_of_both_prompts_have_names_of_their_own(composed: Compose) -> None:
    base, kadg = (run_name(plan_experiment(composed(f"prompt={prompt}"))) for prompt in ("base", "kadg"))
    assert base == "jnli-japagen-0-shot-demo-demo-seed0"
    assert kadg == "jnli-japagen-0-shot-kadg-demo-demo-seed0"
