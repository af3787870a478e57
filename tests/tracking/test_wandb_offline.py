"""Offline runs: the line that uploads them, and starts that were cut off."""

import os
import subprocess
from pathlib import Path

from japagen.tracking import sync_command
from japagen.tracking.offline import set_aside_interrupted


def make_run(folder: Path, name: str, changed_s: float) -> Path:
    run = folder / "wandb" / f"offline-run-{name}"
    run.mkdir(parents=True)
    file = run / f"run-{name.rpartition('-')[2]}.wandb"
    file.touch()
    os.utime(file, (changed_s, changed_s))
    return run


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


def test_of_starts_of_one_run_only_the_last_is_uploaded(tmp_path: Path) -> None:
    cut_off, other = make_run(tmp_path, "20260101_000000-abc", 1000), make_run(tmp_path, "20260101_000000-xyz", 1000)
    finished = make_run(tmp_path, "20260101_010000-abc", 4600)
    set_aside_interrupted(tmp_path, finished)
    assert [path.exists() for path in (cut_off, other, finished)] == [False, True, True]
    assert (tmp_path / "interrupted" / cut_off.name / "run-abc.wandb").is_file(), "nothing is lost"


def test_a_start_that_is_at_work_stays(tmp_path: Path) -> None:
    living, finished = make_run(tmp_path, "20260101_000000-abc", 4590), make_run(tmp_path, "20260101_010000-abc", 4600)
    set_aside_interrupted(tmp_path, finished)
    assert living.exists()
