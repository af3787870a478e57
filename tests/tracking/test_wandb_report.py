"""W&B Reports: what is asked of W&B's server, and what is said where there is no account or no project."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb

from japagen.errors import ConfigError
from japagen.tracking.report import MAX_TITLE, publish_report
from tests.stubs.wandb_standin import FAKE_KEY, StandIn, forget_wandb, wandb_standin

TABLE = "| 設定 | jnli |\n|---|---|\n| 0-shot <b> | **0.72** |"


@pytest.fixture(autouse=True)
def logged_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    forget_wandb(monkeypatch, tmp_path)
    yield
    wandb.teardown()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with wandb_standin() as found:
        monkeypatch.setenv("WANDB_BASE_URL", found.url)
        monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
        yield found


def test_a_report_has_the_table_and_the_sweeps_runs(server: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    url = publish_report("methods, 方法", TABLE, ["methods", "growth"], "japagen", None)
    assert url.startswith(f"{server.url}/me/japagen/reports/")
    (sent,) = server.sent("upsertView")
    assert (sent["entityName"], sent["projectName"], sent["displayName"], sent["type"]) == ("me", "japagen", "methods, 方法", "runs")
    blocks = json.loads(sent["spec"])["blocks"]
    assert [block["content"] for block in blocks if block["type"] == "markdown-block"] == [TABLE]
    (grid,) = (block["metadata"] for block in blocks if block["type"] == "panel-grid")
    (runs,) = grid["runSets"]
    assert [(entry["key"]["name"], entry["value"]) for entry in runs["filters"]["filters"]] == [("group", "methods"), ("group", "growth")]
    assert [entry["name"] for entry in runs["grouping"]] == ["group"]
    panels = {panel["viewType"]: panel["config"] for panel in grid["panelBankSectionConfig"]["panels"]}
    assert panels["Bar Chart"]["metrics"] == ["summary_metrics.gold/primary"]
    curves = [panel["config"] for panel in grid["panelBankSectionConfig"]["panels"] if panel["viewType"] == "Run History Line Plot"]
    assert [(curve.get("metricRegex"), curve.get("metrics")) for curve in curves] == [("valid/.*", []), (None, ["train/loss"])]
    captured = capsys.readouterr()
    assert FAKE_KEY not in server.everything + captured.out + captured.err


def test_a_team_is_named_and_long_titles_are_cut(server: StandIn) -> None:
    publish_report("長" * 500, TABLE, ["one"], "japagen", "team")
    (sent,) = server.sent("upsertView")
    assert sent["entityName"] == "team"
    assert sent["displayName"] == "長" * MAX_TITLE


def test_a_project_without_runs_is_named(server: StandIn) -> None:
    server.projects.clear()
    with pytest.raises(ConfigError, match=r"project 'japagen'.*not found.*wandb sync"):
        publish_report("t", TABLE, ["one"], "japagen", None)
    assert not server.sent("upsertView")


def test_without_an_account_one_line_says_how_to_log_in() -> None:
    with pytest.raises(ConfigError, match=r"not logged in to W&B.*wandb login.*work without W&B") as raised:
        publish_report("t", TABLE, ["one"], "japagen", None)
    assert "\n" not in str(raised.value)


def test_what_wandb_refuses_is_said_in_one_line(server: StandIn) -> None:
    server.refusal = "permission denied"
    with pytest.raises(ConfigError, match=r"W&B took no report for project 'japagen'.*permission denied") as raised:
        publish_report("t", TABLE, ["one"], "japagen", "me")
    assert "\n" not in str(raised.value)
