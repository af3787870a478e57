"""`japagen report` over real sweep folders: what is read, united, chosen, refused, and where it is written."""

import csv
import json
import time
from pathlib import Path
from typing import Any

import pytest
import wandb

from japagen.commands.main import main as run_command
from japagen.commands.sweeps.report import main
from japagen.commands.sweeps.report_output import print_to_stdout, write
from japagen.errors import ConfigError, StoreError
from japagen.experiments.result import Failure, Result
from japagen.reporting import reading
from japagen.reporting.pivots import pivots
from japagen.reporting.report import Report
from japagen.store.files import write_json
from japagen.store.store import Store
from japagen.sweeps.folder import DONE, FAILED, UNFINISHED, State, SweepFolder
from tests.conftest import Compose
from tests.stubs.made_sweeps import PLAIN, SHOTS, Sweeps
from tests.stubs.wandb_standin import FAKE_KEY, forget_wandb, wandb_standin


@pytest.fixture
def sweeps(tmp_path: Path, composed: Compose, monkeypatch: pytest.MonkeyPatch) -> Sweeps:
    monkeypatch.setenv("JAPAGEN_STORE", str(tmp_path / "store"))
    monkeypatch.setattr(reading, "queue_states", lambda jobs: None)
    return Sweeps(Store(tmp_path / "store"), composed)


def monday(sweeps: Sweeps) -> SweepFolder:
    """Two settings of two seeds, all done."""
    experiments = [(overrides, seed) for overrides in (PLAIN, SHOTS) for seed in (0, 1)]
    folder = sweeps.plan("monday", experiments)
    for index, (overrides, seed) in enumerate(experiments):
        sweeps.score(overrides, seed, 0.2 + 0.2 * index)
    return folder


def failures(report: Report) -> dict[str, tuple[str, bool]]:
    return {run.outcome.name: (run.outcome.cause, run.is_pending) for run in report.runs if isinstance(run.outcome, Failure)}


def test_the_latest_sweep_is_printed(sweeps: Sweeps, capsys: pytest.CaptureFixture[str]) -> None:
    monday(sweeps)
    assert main([]) == 0
    text = capsys.readouterr().out
    assert "0.300 ± 0.141 (ref)" in text
    assert "0.700 ± 0.141" in text
    assert "Holm within a task" in text
    assert "sweep monday: 4 experiments" in text


def test_a_file_has_what_the_terminal_would_show(sweeps: Sweeps, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monday(sweeps)
    out = tmp_path / "表" / "report"
    assert main(["mon", "--format", "latex", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"report: {out}\n"
    assert [path.name for path in out.parent.iterdir()] == ["report"]
    report = sweeps.report()
    for form in ("terminal", "markdown", "csv", "json", "latex"):
        write(report, form, sweeps.store, out)
        print_to_stdout(report, form)
        assert capsys.readouterr().out.split() == out.read_text(encoding="utf-8").split()


def test_csv_and_json_can_be_read_again(sweeps: Sweeps, capsys: pytest.CaptureFixture[str]) -> None:
    monday(sweeps)
    report = sweeps.report()
    print_to_stdout(report, "csv")
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [(row["shots"], float(row["mean"])) for row in rows[:2]] == [("0", pytest.approx(0.3)), ("3", pytest.approx(0.7))]
    print_to_stdout(report, "json")
    content = json.loads(capsys.readouterr().out)
    assert len(content["runs"]) == 4
    assert content["runs"][2]["varied"]["shots"] == "3"
    assert content["comparisons"][0]["difference"]["value"] == pytest.approx(0.4)


def test_the_page_stands_in_the_sweeps_folder(sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    written: list[Path] = []
    monkeypatch.setattr("japagen.reporting.html.page.write_page", lambda report, store, out: written.append(out))
    folder = monday(sweeps)
    assert main(["--format", "html"]) == 0
    assert written == [folder.root / "report.html"]
    sweeps.plan("tuesday", [(PLAIN, 0)])
    with pytest.raises(ConfigError, match="--out FILE"):
        main(["monday", "tuesday", "--format", "html"])


def test_sweeps_are_united_and_what_both_have_stands_once(sweeps: Sweeps) -> None:
    monday(sweeps)
    sweeps.plan("tuesday", [(SHOTS, 1), (SHOTS, 2)])
    sweeps.score(SHOTS, 2, 0.9)
    report = sweeps.report("monday", "tuesday", "mond")
    assert [sweep.name for sweep in report.sweeps] == ["monday", "tuesday"]
    assert [run.sweep for run in report.runs] == ["monday"] * 4 + ["tuesday"]
    assert [len(group.results) for group in report.groups] == [2, 3]


def test_what_one_sweep_failed_at_and_another_has_is_no_failure(sweeps: Sweeps) -> None:
    first = sweeps.plan("monday", [(PLAIN, 0), (PLAIN, 1)])
    end(first, "student-0000", FAILED, "no memory")
    end(first, "student-0001", FAILED, "no memory")
    sweeps.plan("tuesday", [(PLAIN, 0), (PLAIN, 1)], created="2026-01-02T00:00:00+00:00")
    sweeps.score(PLAIN, 0)
    report = sweeps.report("monday", "tuesday")
    assert failures(report) == {"jnli-japagen-seed1": (reading.NEVER_RAN, True)}, "the later sweep goes on with it"
    assert len(report.results) == 1


def end(folder: SweepFolder, unit: str, state: str, cause: str = "", **fields: Any) -> None:
    folder.write_state(unit, State(state, cause, started=time.time(), ended=time.time(), **fields))


def test_causes_are_those_of_the_units(sweeps: Sweeps) -> None:
    folder = sweeps.plan("monday", [(PLAIN, seed) for seed in range(6)])
    sweeps.score(PLAIN, 5)
    end(folder, "llm-0", FAILED, "the server died")
    end(folder, "student-0000", FAILED, "メモリ不足")
    end(folder, "student-0001", FAILED, "", faults={f"d-{sweeps.key(PLAIN, 1)}": "no texts"})
    end(folder, "student-0002", DONE)
    end(folder, "student-0003", UNFINISHED, "time limit")
    report = sweeps.report()
    assert failures(report) == {
        "jnli-japagen-seed0": ("メモリ不足", False),
        "jnli-japagen-seed1": ("no texts: llm-0 failed: the server died", False),
        "jnli-japagen-seed2": (reading.GONE, False),
        "jnli-japagen-seed3": ("time limit; the same command goes on", True),
        "jnli-japagen-seed4": ("waiting; the same command goes on", True),
    }
    (pivot,) = pivots(report)
    (cell,) = pivot.rows[0].cells
    assert cell is not None
    assert (cell.num_runs, cell.num_failed, cell.num_pending) == (1, 3, 2)


def test_a_result_without_unit_that_is_gone_says_so(sweeps: Sweeps) -> None:
    folder = sweeps.plan("monday", [(PLAIN, 0)])
    write_json(folder.root / "plan.json", folder.plan() | {"units": []})
    assert failures(sweeps.report()) == {"jnli-japagen-seed0": (reading.GONE, False)}


def test_failures_count_with_the_setting_that_they_share_and_no_other(sweeps: Sweeps) -> None:
    fewer, more = (*PLAIN, "num_per_label=50"), (*PLAIN, "num_per_label=200")
    sweeps.plan("monday", [(overrides, seed) for overrides in (fewer, more) for seed in (0, 1)])
    sweeps.score(fewer, 0, num_per_label=50)
    sweeps.score(more, 0, num_per_label=200)
    sweeps.score(more, 1, num_per_label=200)
    assert [group.num_failed for group in sweeps.report().groups] == [1, 0], "their names are the same"


def test_results_of_old_versions_are_united_by_their_configuration(sweeps: Sweeps) -> None:
    monday(sweeps)
    for overrides in (PLAIN, SHOTS):
        for seed in (0, 1):
            sweeps.score(overrides, seed, settings="", shots=0)
    assert [len(group.results) for group in sweeps.report().groups] == [2, 2]


def test_a_result_goes_by_its_configurations_names(sweeps: Sweeps) -> None:
    sweeps.plan("monday", [(PLAIN, 0)])
    sweeps.score(PLAIN, 0, llm="its old name")
    (result,) = sweeps.report().results
    assert (result.llm, result.model) == ("demo", "demo")


def test_a_broken_result_is_a_failure_and_no_end(sweeps: Sweeps) -> None:
    monday(sweeps)
    path = sweeps.store.path("result", sweeps.key(PLAIN, 0)) / "result.json"
    path.write_text("{", encoding="utf-8")
    assert "can't be read" in failures(sweeps.report())["jnli-japagen-seed0"][0]
    path.write_text('{"task": "jnli"}', encoding="utf-8")
    assert "can't be read" in failures(sweeps.report())["jnli-japagen-seed0"][0]


def test_a_configuration_of_another_version_names_its_sweep(sweeps: Sweeps) -> None:
    folder = monday(sweeps)
    path = folder.root / "configs" / "00002.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    write_json(path, config | {"warp": 9})
    with pytest.raises(ConfigError, match=r"sweep monday: the configuration of jnli-japagen-seed0 doesn't load any more: .*warp"):
        sweeps.report()
    path.unlink()
    with pytest.raises(ConfigError, match="sweep monday"):
        sweeps.report()


@pytest.mark.parametrize("plan", [{"name": "x"}, [], {"experiments": [{"name": "x"}], "created": "", "command": []}])
def test_a_plan_of_another_version_names_its_sweep(sweeps: Sweeps, plan: Any) -> None:
    write_json(monday(sweeps).root / "plan.json", plan)
    with pytest.raises(StoreError, match=r"sweep monday: its plan.json"):
        sweeps.report()


def test_a_sweep_of_nothing_is_refused(sweeps: Sweeps) -> None:
    sweeps.plan("monday", [])
    with pytest.raises(StoreError, match="nothing to report"):
        sweeps.report()


def test_unknown_sweeps_and_places_are_refused(sweeps: Sweeps, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monday(sweeps)
    with pytest.raises(StoreError, match="did you mean 'monday'"):
        main(["mondya"])
    with pytest.raises(ConfigError, match="is a folder"):
        main(["--format", "csv", "--out", str(tmp_path)])
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StoreError, match="can't be written"):
        main(["--format", "csv", "--out", str(tmp_path / "file" / "x.csv")])
    with pytest.raises(SystemExit) as refused:
        run_command(["report", "--where", "tusk=jnli"])
    assert refused.value.code == 1
    assert "error: --where tusk=jnli" in capsys.readouterr().err


def test_only_what_was_chosen_is_shown(sweeps: Sweeps, capsys: pytest.CaptureFixture[str]) -> None:
    monday(sweeps)
    assert main(["--where", "shots=3", "--where", "seed=0,1"]) == 0
    text = capsys.readouterr().out
    assert "only experiments with shots=3 and seed=0,1" in text
    assert "0.700" in text
    assert "0.300" not in text


def test_wandb_gets_the_tables_of_the_sweeps(sweeps: Sweeps, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any) -> None:
    monday(sweeps)
    forget_wandb(monkeypatch, tmp_path)
    with wandb_standin() as server:
        monkeypatch.setenv("WANDB_BASE_URL", server.url)
        monkeypatch.setenv("WANDB_API_KEY", FAKE_KEY)
        assert main(["monday", "--wandb"]) == 0
        wandb.teardown()
    assert capsys.readouterr().out.startswith(f"report: {server.url}/me/japagen/reports/monday--")
    (sent,) = server.sent("upsertView")
    (markdown,) = (block["content"] for block in json.loads(sent["spec"])["blocks"] if block["type"] == "markdown-block")
    assert "0.700 ± 0.141" in markdown
    with pytest.raises(ConfigError, match="leave --format and --out away"):
        main(["monday", "--wandb", "--format", "csv"])


def test_the_report_has_results_in_the_plans_order(sweeps: Sweeps) -> None:
    monday(sweeps)
    outcomes = [run.outcome for run in sweeps.report().runs]
    assert [(outcome.shots, outcome.seeds["seed"]) for outcome in outcomes if isinstance(outcome, Result)] == [
        (0, 0),
        (0, 1),
        (3, 0),
        (3, 1),
    ]
