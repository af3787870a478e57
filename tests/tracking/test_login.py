"""When runs go online."""

from pathlib import Path

import pytest
import wandb
from wandb.sdk.lib import wbauth

from japagen.tracking import wandb_mode
from japagen.tracking.login import is_logged_in
from tests.stubs.wandb_standin import FAKE_KEY


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


@pytest.mark.parametrize("server", [None, "https://wandb.example.org:8080"])
@pytest.mark.parametrize("netrc", [None, "elsewhere.netrc"])
def test_a_key_that_wandb_wrote_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: str | None, netrc: str | None) -> None:
    if server is not None:
        monkeypatch.setenv("WANDB_BASE_URL", server)
    if netrc is not None:
        monkeypatch.setenv("NETRC", str(tmp_path / netrc))
    assert not is_logged_in()
    wbauth.write_netrc_auth(host=server or wandb.Settings().base_url, api_key=FAKE_KEY)  # what `wandb login` does
    assert is_logged_in()


def write_settings(home: Path, line: str) -> None:
    """W&B's own settings of a user."""
    file = home / ".config" / "wandb" / "settings"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"[default]\n{line}\n", encoding="utf-8")
    wandb.teardown()  # as in a new process


def test_wandbs_settings_say_which_server_a_key_is_for(tmp_path: Path) -> None:
    wbauth.write_netrc_auth(host="https://wandb.example.org", api_key=FAKE_KEY)
    assert wandb_mode("auto") == "offline"
    write_settings(tmp_path / "home", "base_url = https://wandb.example.org")
    assert wandb_mode("auto") == "online"


@pytest.mark.parametrize(("set_by", "mode"), [("offline", "offline"), ("disabled", "off")])
def test_wandbs_settings_keep_runs_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, set_by: str, mode: str) -> None:
    monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
    write_settings(tmp_path / "home", f"mode = {set_by}")  # what `wandb offline` and `wandb disabled` do
    assert wandb_mode("auto") == mode
    monkeypatch.setenv("WANDB_MODE", "online")
    assert wandb_mode("auto") == "online"


def test_settings_that_wandb_refuses_send_nothing_to_its_own_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
    monkeypatch.setenv("WANDB_BASE_URL", "our server")
    for _ in range(2):
        assert wandb_mode("auto") == "offline"


@pytest.mark.parametrize("setting", ["online", "offline", "off"])
def test_a_setting_is_obeyed(setting: str) -> None:
    assert wandb_mode(setting) == setting
