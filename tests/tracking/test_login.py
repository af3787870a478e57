"""When runs go online."""

from pathlib import Path

import pytest

from japagen.tracking import wandb_mode


def test_auto_is_offline_without_a_login_and_online_with_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert wandb_mode("auto") == "offline"
    netrc = tmp_path / "home" / ".netrc"
    netrc.write_text("machine api.wandb.ai login user password 0\n", encoding="utf-8")
    netrc.chmod(0o600)
    assert wandb_mode("auto") == "online"
    netrc.unlink()
    monkeypatch.setenv("WANDB_API_KEY", "0")
    assert wandb_mode("auto") == "online"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert wandb_mode("auto") == "off"


@pytest.mark.parametrize("setting", ["online", "offline", "off"])
def test_a_setting_is_obeyed(setting: str) -> None:
    assert wandb_mode(setting) == setting
