"""Real worker processes, interrupted in every way that they may be: they put away what they have, and the next start goes on."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from japagen.config.schema import Config
from japagen.store.store import Store
from japagen.sweeps.folder import DONE, RUNNING, UNFINISHED, SweepFolder
from launch import signals
from launch.local import worker_command
from launch.planning import pinned, plan_experiments, plan_units, planned
from tests.conftest import ROOT, Compose
from tests.stubs.waiting import eventually

NUM_EPOCHS = 60
CHECKPOINT_S = 60.0
"""A start, with imports, reading and the first epoch, on a busy machine."""
MARK_S = 100_000.0
Stop = Callable[["subprocess.Popen[bytes]"], object]


def make_folder(store: Path, *configs: Config) -> SweepFolder:
    experiments = plan_experiments(configs)
    units = plan_units(experiments, Store(store))
    return SweepFolder.create(Store(store), "sweep", [pinned(one) for one in experiments], planned(experiments), units)


def start(folder: SweepFolder) -> "subprocess.Popen[bytes]":
    command = worker_command(folder, folder.units()[0])
    with folder.log("student-0000").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True)


def checkpoints(store: Path) -> list[Path]:
    return list(store.glob("work/*/*.ckpt"))


def stamps(store: Path) -> list[int]:
    return [path.stat().st_mtime_ns for path in checkpoints(store)]


def has_trained(store: Path, before: list[int], process: "subprocess.Popen[bytes]") -> bool:
    """Whether the process writes a checkpoint before it ends."""
    return eventually(lambda: process.poll() is not None or stamps(store) not in ([], before), CHECKPOINT_S) and process.poll() is None


def mark(checkpoint: Path) -> None:
    """Notes in a checkpoint that training took MARK_S until then: who goes on from it adds to that."""
    content = torch.load(checkpoint, weights_only=True)
    content["callbacks"]["Progress"]["seconds"] = MARK_S
    torch.save(content, checkpoint)


def close_standard_input(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    process.stdin.close()


@pytest.mark.slow
def test_interrupted_in_any_way_it_goes_on_from_its_checkpoint(composed: Compose, tmp_path: Path) -> None:
    store = tmp_path / "store"
    training = ["method=gold", *(f"train.{name}={NUM_EPOCHS}" for name in ("epochs", "min_steps", "patience"))]
    folder = make_folder(store, composed(f"store={store}", "logger=none", "task=jcola", *training))
    stops: list[tuple[Stop, str]] = [
        (lambda process: process.send_signal(signal.SIGTERM), "it was told to end (SIGTERM)"),
        (lambda process: process.send_signal(signal.SIGUSR2), "SLURM told it to end (time limit or preemption)"),
        (close_standard_input, "the program that started it is gone"),
    ]
    for attempt, (stop, cause) in enumerate(stops, 1):
        before = stamps(store)
        process = start(folder)
        try:
            assert has_trained(store, before, process)
            assert folder.state("student-0000").state == RUNNING, folder.log("student-0000").read_text(encoding="utf-8")
            stop(process)
            assert process.wait(30) == 128 + signal.SIGINT
        finally:
            process.kill()
        state = folder.state("student-0000")
        assert (state.state, state.cause, state.attempts) == (UNFINISHED, cause, attempt)
        assert state.ended is not None
        assert not list((store / "locks").iterdir()), "nobody has to wait for it"
        assert not list(store.glob("*/.*.tmp")), "nothing half made is left"
    (checkpoint,) = checkpoints(store)
    mark(checkpoint)
    process = start(folder)
    try:
        assert process.wait(120) == 0, folder.log("student-0000").read_text(encoding="utf-8")
    finally:
        process.kill()
    state = folder.state("student-0000")
    assert (state.state, state.cause, state.attempts) == (DONE, "", 4)
    keys = folder.experiments()[0].keys
    assert Store(store).find("result", keys["result"]) is not None
    meta = Store(store).meta("model", keys["model"])
    assert meta["seconds"] > MARK_S, "it went on from the checkpoint"
    assert [entry["step"] for entry in meta["training"]["history"]] == list(range(1, NUM_EPOCHS + 1)), "no epoch was left out or done twice"
    assert not (store / "work" / keys["model"]).exists()


@pytest.mark.slow
def test_a_unit_that_fails_sets_the_exit_code(composed: Compose, tmp_path: Path) -> None:
    config = composed(f"store={tmp_path}", "logger=none", "task=jcola", "method=gold", "train.epochs=1", "train.learning_rate=1e30")
    folder = make_folder(tmp_path, config)
    command = [sys.executable, "-m", "launch.worker", str(folder.root), "student-0000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "student-0000 failed: the " in done.stdout
    assert "loss is " in folder.state("student-0000").cause
    assert "Traceback" not in done.stderr


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Signals as in a worker, put back afterwards."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}
    monkeypatch.setattr(signals, "_received", [])
    signals.listen()
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
def test_putting_away_is_not_interrupted(listening: None, number: signal.Signals) -> None:
    assert signals.received() == ""
    interrupt = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)
    os.kill(os.getpid(), signal.SIGTERM)
    signal.signal(signal.SIGTERM, interrupt)  # as Lightning does when it ends
    os.kill(os.getpid(), signal.SIGTERM)
    assert signals.received() == number.name
