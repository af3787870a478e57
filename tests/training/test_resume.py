"""A training that dies, at whatever moment, ends as an undisturbed one does: bitwise, on the CPU."""

import io
import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch

from japagen.config.schema import Encoder, Train
from japagen.tasks import Example, Task, example_to_json
from japagen.training import batches, classifier, ensemble, progress
from japagen.training.student import Fit, train_student

ROOT = Path(__file__).parents[2]


class Run:
    """One training's arguments; `train` runs it into a folder of its own."""

    def __init__(self, folder: Path, task: Task, encoder: Encoder, encoder_path: str, train: Train, rows: list[Example]) -> None:
        self.folder, self.task, self.encoder, self.encoder_path, self.settings = folder, task, encoder, encoder_path, train
        self.rows, self.valid = rows[:90], rows[90:120]

    def train(self, out: str, work: str, seed: int = 0, on_metrics: progress.OnMetrics | None = None) -> Fit:
        return train_student(
            self.task, self.encoder, self.encoder_path, None, self.settings, self.rows, self.valid, seed,
            self.folder / out, self.folder / work, on_metrics, device="cpu",
        )  # fmt: skip

    def weights(self, out: str) -> bytes:
        return (self.folder / out / "model.safetensors").read_bytes()

    def in_process(self, work: str, signal: str, validations: int) -> "subprocess.CompletedProcess[str]":
        spec = {
            "task": {name: value for name, value in asdict(self.task).items() if name != "published"},
            "encoder": asdict(self.encoder), "encoder_path": self.encoder_path, "train": asdict(self.settings), "seed": 0,
            "rows": [example_to_json(row) for row in self.rows], "valid": [example_to_json(row) for row in self.valid],
            "out": str(self.folder / "killed"), "work": str(self.folder / work), "signal": signal, "validations": validations,
        }  # fmt: skip
        (self.folder / "spec.json").write_text(json.dumps(spec), encoding="utf-8")
        command = [sys.executable, str(Path(__file__).parent / "interrupted.py"), str(self.folder / "spec.json")]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)


@pytest.fixture
def run(tmp_path: Path, keyword_task: Task, encoder: Encoder, encoder_path: str, train: Train, keyword_rows: list[Example]) -> Run:
    return Run(tmp_path, keyword_task, encoder, encoder_path, train, keyword_rows)


def without_seconds(fit: Fit) -> Fit:
    return replace(fit, seconds=0.0)


def test_a_killed_process_is_resumed_to_the_same_end(run: Run) -> None:
    whole = run.train("whole", "work-whole")
    killed = run.in_process("work", "SIGKILL", validations=3)
    assert killed.returncode == -9, killed.stderr
    assert not (run.folder / "killed").exists()
    steps: list[int] = []
    resumed = run.train("resumed", "work", on_metrics=lambda metrics, step: steps.append(step))
    assert min(steps) > whole.history[1]["step"]
    assert without_seconds(resumed) == without_seconds(whole)
    assert run.weights("resumed") == run.weights("whole")


def test_a_terminated_process_says_so_and_writes_no_student(run: Run) -> None:
    ended = run.in_process("work", "SIGTERM", validations=1)
    assert ended.returncode == 128 + 15, ended.stderr
    assert not (run.folder / "killed").exists()


def test_an_interrupt_reaches_the_caller(run: Run) -> None:
    def interrupt(metrics: dict[str, float], step: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.train("out", "work", on_metrics=interrupt)


def test_death_at_any_write_loses_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run.train("whole", "work-whole")
    write = progress.write
    for survived in range(5):
        monkeypatch.setattr(progress, "write", dying(write, survived))
        with pytest.raises(PowerCut):
            run.train("cut", f"work-{survived}")
        monkeypatch.setattr(progress, "write", write)
        assert without_seconds(run.train("resumed", f"work-{survived}")) == without_seconds(whole)
        assert run.weights("resumed") == run.weights("whole")


class PowerCut(Exception):
    pass


def dying(write: Any, survived: int) -> Any:
    """`write`, but after `survived` calls it leaves half a file and dies."""
    count = 0

    def dies(state: dict[str, Any], path: Path) -> None:
        nonlocal count
        count += 1
        if count > survived:
            path.with_name(f"{path.name}.partial").write_bytes(b"half")
            raise PowerCut
        write(state, path)

    return dies


def test_patience_is_remembered(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores fall from the first: with a patience of two the third validation is the last one, also after a cut before it."""
    run.settings = replace(run.settings, patience=2)
    scores = iter([0.9, 0.8, 0.7, 0.7, 0.6])
    monkeypatch.setattr(classifier, "score", lambda *_: {"macro_f1": next(scores)})

    def cut(metrics: dict[str, float], step: int) -> None:
        if metrics.get("valid/macro_f1") == 0.7:
            raise PowerCut

    with pytest.raises(PowerCut):
        run.train("cut", "work", on_metrics=cut)
    resumed = run.train("resumed", "work")
    assert [entry["valid/macro_f1"] for entry in resumed.history] == [0.9, 0.8, 0.7]
    assert (resumed.best_score, resumed.best_step) == (0.9, resumed.history[0]["step"])


def test_half_a_checkpoint_never_takes_the_place_of_a_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.ckpt"
    progress.write({"step": 1}, path)

    def cut(state: dict[str, Any], file: BinaryIO) -> None:
        file.write(b"half")
        raise PowerCut

    monkeypatch.setattr(torch, "save", cut)
    with pytest.raises(PowerCut):
        progress.write({"step": 2}, path)
    assert torch.load(path, weights_only=True) == {"step": 1}


def test_unvalidated_steps_are_resumed_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_STEPS_PER_STRETCH", 5)
    run.valid, run.settings = [], replace(run.settings, steps=12)
    whole = run.train("whole", "work-whole")
    monkeypatch.setattr(progress, "write", dying(progress.write, 1))
    with pytest.raises(PowerCut):
        run.train("cut", "work")
    monkeypatch.undo()
    monkeypatch.setattr(batches, "_STEPS_PER_STRETCH", 5)
    resumed = run.train("resumed", "work")
    assert [entry["step"] for entry in resumed.history] == [5, 10, 12]
    assert without_seconds(resumed) == without_seconds(whole)
    assert run.weights("resumed") == run.weights("whole")


def test_another_runs_checkpoint_is_left_alone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "write", dying(progress.write, 4))
    with pytest.raises(PowerCut):
        run.train("cut", "work")
    monkeypatch.undo()
    run.train("alone", "work-alone", seed=1)
    run.train("beside", "work", seed=1)
    assert run.weights("beside") == run.weights("alone")


@pytest.fixture
def ensembling(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run` with every option of the loss on, soft and weighted rows, and two stretches an epoch for three epochs."""
    changed = {"epochs": 3, "ensemble_momentum": 0.5, "ensemble_threshold": 0.35, "robust_q": 0.5, "label_smoothing": 0.1}
    run.settings = replace(run.settings, **changed)
    run.rows = [replace(row, probs=(0.7, 0.2, 0.1) if place % 5 == 0 else None, weight=1 + place % 3) for place, row in enumerate(run.rows)]
    monkeypatch.setattr(ensemble, "_FEWEST", 0)
    return run


@pytest.mark.parametrize("survived", [2, 3, 4, 5])
def test_the_rows_means_survive_a_cut_at_an_epochs_end_and_in_its_middle(ensembling: Run, survived: int) -> None:
    whole = ensembling.train("whole", "work-whole")
    assert min(entry["train/kept"] for entry in whole.history) < 1
    told = 0

    def cut(metrics: dict[str, float], step: int) -> None:
        nonlocal told
        told += "valid/loss" in metrics
        if told > survived:
            raise PowerCut

    with pytest.raises(PowerCut):
        ensembling.train("cut", "work", on_metrics=cut)
    assert without_seconds(ensembling.train("resumed", "work")) == without_seconds(whole)
    assert ensembling.weights("resumed") == ensembling.weights("whole")


def test_the_rows_means_survive_where_epochs_end_within_a_stretch(ensembling: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_STEPS_PER_STRETCH", 4)
    ensembling.valid, ensembling.settings = [], replace(ensembling.settings, steps=20)
    whole = ensembling.train("whole", "work-whole")
    with monkeypatch.context() as patch:
        patch.setattr(progress, "write", dying(progress.write, 3))
        with pytest.raises(PowerCut):
            ensembling.train("cut", "work")
    assert without_seconds(ensembling.train("resumed", "work")) == without_seconds(whole)
    assert ensembling.weights("resumed") == ensembling.weights("whole")


def test_a_killed_process_with_soft_and_weighted_rows_is_resumed_to_the_same_end(run: Run) -> None:
    run.settings = replace(run.settings, ensemble_momentum=0.8)
    run.rows = [replace(row, probs=(0.7, 0.2, 0.1) if place % 5 == 0 else None, weight=1 + place % 3) for place, row in enumerate(run.rows)]
    whole = run.train("whole", "work-whole")
    killed = run.in_process("work", "SIGKILL", validations=4)
    assert killed.returncode == -9, killed.stderr
    resumed = run.train("resumed", "work")
    assert without_seconds(resumed) == without_seconds(whole)
    assert run.weights("resumed") == run.weights("whole")


class Interrupted(io.FileIO):
    """A file whose writing Ctrl-C cuts short."""

    def write(self, data: Any) -> int:
        if self.tell() > 100_000:
            raise KeyboardInterrupt
        return super().write(data)


def test_an_interruption_while_a_checkpoint_is_written_stays_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    progress.write({"step": 1}, tmp_path / "last.ckpt")
    monkeypatch.setattr(Path, "open", lambda path, mode: Interrupted(path, mode))
    with pytest.raises(KeyboardInterrupt):
        progress.write({"weights": [torch.zeros(50_000) for _ in range(5)]}, tmp_path / "last.ckpt")
    assert torch.load(tmp_path / "last.ckpt", weights_only=True) == {"step": 1}, "the old one stands"
