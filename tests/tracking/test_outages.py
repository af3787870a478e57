"""What W&B can do wrong, with the real package: no way to its server, nonsense from it, a service that dies, folders that it can't use."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
import wandb

from japagen.tracking import track
from japagen.tracking.outage import HOLDS_S, find_outage, note_path
from japagen.tracking.service import FINISH_S, end_service, wandb_settings
from tests.stubs.wandb_standin import FAKE_KEY, wandb_standin
from tests.tracking.conftest import Made, MakeExperiment, do_run


@contextmanager
def closed_port() -> Iterator[str]:
    """An address that refuses, as where a firewall answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    yield address


@contextmanager
def black_hole() -> Iterator[str]:
    """An address that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A server that says the same to everybody."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Says nothing."""

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def log_in(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """A key, and a server that has one second to answer, and one to take a run's end."""
    for name, value in {"API_KEY": FAKE_KEY, "BASE_URL": url, "INIT_TIMEOUT": "1", "FINISH_TIMEOUT": "1"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    wandb.teardown()


def starts(made: Made) -> tuple[int, int]:
    """How often a run was started online and offline."""
    folder = made.wandb_folder / "wandb"
    return len(list(folder.glob("run-*"))), len(list(folder.glob("offline-run-*")))


@pytest.mark.parametrize("way", [closed_port, black_hole])
def test_students_without_a_way_out_wait_once_and_stay_offline(
    make_experiment: MakeExperiment, monkeypatch: pytest.MonkeyPatch, way: Callable[[], Any]
) -> None:
    messages: list[str] = []
    with way() as url:
        log_in(monkeypatch, url)
        for seed in range(4):
            made = make_experiment(f"seed={seed}")
            with track(made.experiment, "g", made.wandb_folder, messages.append) as tracker:
                tracker.log_result(made.result)
    assert starts(made) == (1, 4)
    (line,) = messages
    assert line.startswith(f"W&B: {url} gave no answer at ")
    assert f"or once {note_path(made.wandb_folder)} is removed), so runs stay in {made.wandb_folder};" in line


@pytest.mark.parametrize("change", [{"time": time.time() - HOLDS_S - 1}, {"server": "https://elsewhere"}])
def test_a_server_is_asked_again_when_the_note_is_old_or_of_another(
    make_experiment: MakeExperiment, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    made = make_experiment()
    with closed_port() as url:
        log_in(monkeypatch, url)
        do_run(made)
        note = note_path(made.wandb_folder)
        note.write_text(json.dumps({**json.loads(note.read_text(encoding="utf-8")), **change}), encoding="utf-8")
        do_run(make_experiment("seed=1"))
    assert starts(made) == (2, 2)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"server": 1}', '{"server": "a", "cause": "b", "time": "c"}'])
def test_a_broken_note_is_none(tmp_path: Path, content: str) -> None:
    note_path(tmp_path).write_text(content, encoding="utf-8")
    assert find_outage(tmp_path, "a") is None


@pytest.mark.parametrize(
    ("status", "body", "is_slow"),
    [(200, b"<html>Log in to the network</html>", False), (200, b'{"data": [', False), (401, b"{}", False), (500, b"oops", True)],
)
def test_nonsense_from_the_server_sends_a_run_offline(
    make_experiment: MakeExperiment, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes, is_slow: bool
) -> None:
    made, messages = make_experiment(), []
    with answering(status, body) as url:
        log_in(monkeypatch, url)
        do_run(made, messages)
    assert starts(made) == (1, 1)
    assert len(messages) == 1
    assert note_path(made.wandb_folder).exists() == is_slow, "only what takes long is remembered"


def test_a_service_that_the_server_crashes_fails_nothing(make_experiment: MakeExperiment, monkeypatch: pytest.MonkeyPatch) -> None:
    made, scored = make_experiment(), []
    with answering(200, b'{"data": null}') as url:  # W&B's service (0.31) dereferences null
        log_in(monkeypatch, url)
        with track(made.experiment, "g", made.wandb_folder, list[str]().append) as tracker:
            tracker.log_result(made.result)
            scored.append(made.result)
    assert scored


def test_a_service_that_crashed_ends_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave() -> None:
        raise SystemExit(2)  # W&B, when its service ended with 2

    with monkeypatch.context() as patched:
        patched.setattr(wandb, "teardown", leave)
        end_service()


def test_a_service_that_is_killed_costs_one_run(make_experiment: MakeExperiment) -> None:
    made, messages = make_experiment(), []
    with track(made.experiment, "g", made.wandb_folder, messages.append) as tracker:
        for process in psutil.Process().children(recursive=True):
            if process.name().startswith("wandb"):
                process.kill()
                process.wait(10)
        assert tracker.on_metrics is not None
        for step in (1, 2):
            tracker.on_metrics({"train/loss": 1.0}, step)
        tracker.log_result(made.result)
        tracker.log_tables(made.experiment.task, made.result, made.store)
    failed = ["curves not sent", "scores not sent", "tables not sent", "run not ended"]
    assert [line.partition(" (")[0] for line in messages[1:]] == [f"W&B: {what}" for what in failed]
    assert do_run(make_experiment("seed=1")).is_dir()


def test_a_server_that_goes_away_while_a_run_goes_on_holds_nobody(make_experiment: MakeExperiment, monkeypatch: pytest.MonkeyPatch) -> None:
    made, messages = make_experiment(), []
    with wandb_standin() as server:
        log_in(monkeypatch, server.url)
        monkeypatch.setenv("WANDB_INIT_TIMEOUT", "60")
        tracking = track(made.experiment, "g", made.wandb_folder, messages.append)
        tracker = tracking.__enter__()
    tracker.log_result(made.result)
    tracking.__exit__(None, None, None)
    assert [line.partition(" (")[0] for line in messages] == ["W&B: run not ended"]
    assert starts(made) == (1, 0)


def test_the_end_of_a_run_has_ten_minutes(make_experiment: MakeExperiment) -> None:
    made = make_experiment()
    with track(made.experiment, "g", made.wandb_folder, list[str]().append):
        found = wandb_settings()
        assert found is not None
        assert found.finish_timeout == FINISH_S


def no_folder(made: Made) -> None:
    made.wandb_folder.write_text("", encoding="utf-8")


def read_only(made: Made) -> None:
    made.wandb_folder.symlink_to("/proc")  # also for root


def foreign_below(made: Made) -> None:
    made.wandb_folder.mkdir()
    (made.wandb_folder / "wandb").write_text("", encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "words"), [(no_folder, "can't be written (File exists)"), (read_only, "can't be written ("), (foreign_below, "/wandb/wandb/")]
)
def test_without_a_folder_for_runs_a_student_goes_on(make_experiment: MakeExperiment, spoil: Callable[[Made], None], words: str) -> None:
    made, messages = make_experiment(), []
    spoil(made)
    with track(made.experiment, "g", made.wandb_folder, messages.append) as tracker:
        assert tracker.on_metrics is None
        tracker.log_result(made.result)
    (line,) = messages
    assert line.startswith("W&B: ")
    assert line.endswith("so no runs are kept; nothing else needs them")
    assert str(made.wandb_folder) in line
    assert words in line


@pytest.mark.parametrize("setting", ["mode", "base_url", "init_timeout"])
def test_settings_that_wandb_refuses_fail_no_student(
    make_experiment: MakeExperiment, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    made, messages = make_experiment(), []
    monkeypatch.setenv(f"WANDB_{setting.upper()}", "bogus")
    with track(made.experiment, "g", made.wandb_folder, messages.append) as tracker:
        assert tracker.on_metrics is None
    (line,) = messages
    assert line.startswith(f"W&B: setting {setting}: ")


def test_without_a_home_folder_runs_stay_here(
    make_experiment: MakeExperiment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, homeless: None
) -> None:
    made, messages = make_experiment("logger.upload=all"), []
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.iterdir())
    assert do_run(made, messages).name.startswith("offline-run-")
    assert [line.partition(", so")[0] for line in messages] == ["W&B: not logged in"]
    assert set(tmp_path.iterdir()) == before, "no folder that is called ~"
