"""`japagen status` and `japagen logs` over a sweep's folder: what they print, find, follow, and with which code they end."""

import io
import os
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from japagen.commands.sweeps import logs, status
from japagen.commands.sweeps.logs import LogReader, start_of_last
from japagen.commands.sweeps.status import QueueReader, draw, draw_brief
from japagen.errors import StoreError
from japagen.store.store import Store
from japagen.sweeps.folder import (
    DONE,
    FAILED,
    LLM,
    RUNNING,
    STUDENT,
    UNFINISHED,
    Planned,
    State,
    SweepFolder,
    Unit,
)
from japagen.sweeps.overview import Queue, read_overview
from tests.stubs.waiting import eventually

CAUSE = "the GPU's memory is too small: lower train.batch_size or model.max_length, or take a GPU that has more\nsecond line"
PROGRESS = {"wanted": 900.0, "accepted": 300.0, "rejected": 100.0, "new_rows": 200.0, "new_tokens": 5000.0, "seconds": 10.0}


def name_of(number: int) -> str:
    return f"jnli-japagen-0-shot-big-bert-seed{number}"


def make_sweep(store: Store, num_students: int, name: str = "monday") -> SweepFolder:
    """An LLM unit that runs here, and students that all wait."""
    planned = [Planned(name_of(number), "jnli", {}) for number in range(num_students)]
    units = [Unit("llm-0", LLM, "big, 2 stream(s)", tuple(range(num_students)))]
    units += [Unit(f"student-{number:04d}", STUDENT, experiment.name, (number,), ("llm-0",)) for number, experiment in enumerate(planned)]
    folder = SweepFolder.create(store, name, [], planned, units)
    log = folder.log("llm-0")
    log.write_text("first\nsecond\nthird\n", encoding="utf-8")
    write(folder, "llm-0", RUNNING, ago_s=0, pid=os.getpid(), log=str(log), progress={"jnli": PROGRESS})
    return folder


def write(folder: SweepFolder, unit: str, state: str, ago_s: float = 30.0, **fields: object) -> None:
    now = time.time()
    begun = State(state, host=socket.gethostname(), pid=2**22 - 1, started=now - ago_s, ended=None if state == RUNNING else now, attempts=1)
    folder.write_state(unit, replace(begun, **fields))  # type: ignore[arg-type]


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SweepFolder:
    monkeypatch.setenv("JAPAGEN_STORE", str(tmp_path))
    monkeypatch.setattr(status, "queue_states", lambda jobs: None)
    return make_sweep(Store(tmp_path), 4)


def drawn(folder: SweepFolder, width: int, queue: Queue = None, most_quiet: int = 20) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(draw(read_overview(folder, queue), width, most_quiet))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 200])
def test_everything_is_on_the_screen(sweep: SweepFolder, width: int) -> None:
    write(sweep, "student-0000", FAILED, cause=CAUSE, attempts=3, log=str(sweep.log("student-0000")))
    sweep.log("student-0000").write_text("x", encoding="utf-8")
    write(sweep, "student-0001", DONE, ago_s=240)
    sweep.write_submitted({"student-0002": {"job": "12_2", "log": "/x"}})
    text = drawn(sweep, width, {"12_2": ("PENDING", "Resources")})
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert "generation: 1 running" in text
    assert "students:   1 failed, 2 waiting, 1 done" in text
    for part in (
        "300 of 900 texts, 20.0 rows/s, 40 s left",
        "4 min",
        "12_2",
        "PENDING",
        "Resources",
        socket.gethostname(),
        "logs/student-0000.log",
    ):
        assert part in text
    assert "".join(CAUSE.splitlines()[0].split()) in "".join(text.split()), "the whole cause"
    assert "second line" in text
    assert ("3 starts" in text) == (width == 80)
    order = [
        next(number for number, line in enumerate(lines) if line.startswith(unit)) for unit in ("student-0000", "llm-0", "student-0002")
    ]
    assert order == sorted(order), "what failed comes first"


def test_many_units_are_cut_and_equal_causes_told_once(sweep: SweepFolder, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_sweep(Store(sweep.root.parent.parent), 300, "tuesday")
    for number in range(0, 300, 3):
        write(folder, f"student-{number:04d}", FAILED if number % 2 else DONE, cause="no memory" if number % 2 else "")
    text = drawn(folder, 200)
    assert "\nstudent-0003 " in text
    assert text.count("waiting  ") == 20
    assert "230 more not shown (180 waiting, 50 done); --all shows them" in text
    assert "failed student-0003, student-0009, student-0015, student-0021, student-0027, student-0033, student-0039, student-0045" in text
    assert text.count("no memory") == 50 + 1
    assert status.main(["tuesday", "--all"]) == 2
    printed = capsys.readouterr().out
    assert "more not shown" not in printed
    assert all(f"student-{number:04d}" in printed for number in range(300))


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 30), (60, 5)])
def test_watching_shows_what_runs_within_the_screen(sweep: SweepFolder, width: int, height: int) -> None:
    folder = make_sweep(Store(sweep.root.parent.parent), 60, "tuesday")
    for number in range(40):
        write(folder, f"student-{number:04d}", FAILED, cause=CAUSE)
    console = Console(file=io.StringIO(), width=width, height=height)
    console.print(draw_brief(read_overview(folder, None), width, height))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert len(lines) <= max(height, 12)
    assert max(map(len, lines)) <= width
    assert next(line for line in lines if line.startswith(("llm", "student-"))).startswith("llm-0")
    if width > 60:
        assert any("student-0000" in line and "failed" in line and "the GPU's memory" in line for line in lines)
        assert any("300 of 900 texts, 20.0 rows/s" in line for line in lines)
    assert "more not shown" in "".join(lines)


def test_names_with_brackets_are_shown_as_they_are(tmp_path: Path) -> None:
    folder = SweepFolder.create(Store(tmp_path), "a", [], [Planned("x", "t", {})], [Unit("student-0000", STUDENT, "[red]x[/]", (0,))])
    write(folder, "student-0000", FAILED, cause="[bold]y[/]")
    text = drawn(folder, 200)
    assert "[red]x[/]" in text
    assert "[bold]y[/]" in text


def test_exit_codes(sweep: SweepFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert status.main([]) == 2
    for unit in ("llm-0", "student-0000", "student-0001", "student-0002"):
        write(sweep, unit, DONE)
    write(sweep, "student-0003", UNFINISHED, cause="SIGUSR2")
    assert status.main(["mon"]) == 1
    write(sweep, "student-0003", DONE)
    assert status.main(["monday", "--watch"]) == 0
    assert capsys.readouterr().out.count("monday, 4 experiment(s)") == 3


def test_all_sweeps_have_a_line(sweep: SweepFolder, capsys: pytest.CaptureFixture[str]) -> None:
    make_sweep(Store(sweep.root.parent.parent), 2, "tuesday")
    assert status.main(["--list"]) == 0
    _, first, second = capsys.readouterr().out.splitlines()
    assert first.split()[0] == "monday"
    assert "1 running" in first
    assert "4 waiting" in first
    assert second.split()[0] == "tuesday"
    assert "2 waiting" in second


def test_watching_ends_with_the_sweep(sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(status, "REDRAW_S", 0.02)
    codes: list[int] = []
    watcher = threading.Thread(target=lambda: codes.append(status.main(["--watch"])))
    watcher.start()
    output = ""

    def has_printed(words: str) -> bool:
        nonlocal output
        output += capsys.readouterr().out
        return words in output

    assert eventually(lambda: has_printed("generation: 1 running; students: 4 waiting"))
    write(sweep, "llm-0", DONE)
    assert eventually(lambda: has_printed("generation: 1 done; students: 4 waiting"))
    for number in range(4):
        write(sweep, f"student-{number:04d}", FAILED if number == 3 else DONE)
    watcher.join(20)
    assert codes == [1]
    assert has_printed("students:   1 failed, 3 done")


def test_the_queue_is_asked_no_more_than_needed() -> None:
    calls = []

    def ask(jobs: object) -> Queue:
        calls.append(jobs)
        return {}

    reader = QueueReader(ask)
    for jobs in ({"1"}, {"1"}, {"1", "2"}, {"2"}):
        reader.read(jobs)
    assert calls == [{"1"}, {"1", "2"}]


def test_a_store_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAPAGEN_STORE", str(tmp_path / "nowhere"))
    with pytest.raises(StoreError, match=r"there is no store .*nowhere; name it by --store DIR or JAPAGEN_STORE"):
        status.main([])
    with pytest.raises(StoreError, match="there is no sweep in"):
        status.main(["--store", str(tmp_path)])


def test_logs_of_a_unit_end_with_its_last_lines(sweep: SweepFolder, capsys: pytest.CaptureFixture[str]) -> None:
    server = sweep.root.parent.parent / "logs" / f"vllm-20261121-150000-{os.getpid()}-8000.log"
    server.parent.mkdir()
    for path in (server, server.with_name("vllm-20261121-150000-1-8000.log")):
        path.write_text("x", encoding="utf-8")
    assert logs.main(["llm-0", "-n", "2"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"log of llm-0 (big, 2 stream(s); running): {sweep.log('llm-0')}",
        f"log of its vLLM server: {server}",
        "second",
        "third",
    ]
    assert logs.main(["llm-0", "-n", "0"]) == 0
    assert capsys.readouterr().out.endswith("first\nsecond\nthird\n")


@pytest.mark.parametrize("name", ["12_3", name_of(3), "student-0003"])
def test_a_unit_is_found_by_job_and_experiment(sweep: SweepFolder, capsys: pytest.CaptureFixture[str], name: str) -> None:
    log = sweep.root / "submitit.log"
    log.write_text("from the node\n", encoding="utf-8")
    sweep.write_submitted({"student-0003": {"job": "12_3", "log": str(log)}})
    make_sweep(Store(sweep.root.parent.parent), 2, "tuesday")
    assert logs.main([name, *([] if name == "12_3" else ["--sweep", "monday"])]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["from the node"]


def test_names_that_do_not_fit_are_told_with_the_nearest(sweep: SweepFolder) -> None:
    with pytest.raises(StoreError, match=r"sweep monday has no unit 'lmm-0' \(did you mean 'llm-0'\?\); units: llm-0, student-0000"):
        logs.main(["lmm-0"])
    with pytest.raises(StoreError, match=r"'jnli' means 4 units of sweep monday: student-0000 \(jnli-japagen-0-shot-big-bert-seed0\), "):
        logs.main(["jnli"])
    with pytest.raises(StoreError, match=r"student-0000 \(waiting\) has no log, it has not begun"):
        logs.main(["student-0000"])
    SweepFolder.create(Store(sweep.root.parent.parent), "done", [], [], [])
    with pytest.raises(StoreError, match="sweep done has no unit 'llm-0'; units: none, since all that it needs was there; name another"):
        logs.main(["llm-0", "--sweep", "done"])
    with pytest.raises(SystemExit):
        logs.main(["llm-0", "-n", "-1"])


def test_following_ends_with_the_unit(sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(logs, "LOOK_S", 0.02)
    codes: list[int] = []
    follower = threading.Thread(target=lambda: codes.append(logs.main(["llm-0", "-f", "-n", "1"])))
    follower.start()
    output = ""

    def has_printed(words: str) -> bool:
        nonlocal output
        output += capsys.readouterr().out
        return words in output

    assert eventually(lambda: has_printed("third\n"))
    with sweep.log("llm-0").open("ab") as file:
        file.write("四つ".encode()[:4])  # the writer's buffer ends within a character
        file.flush()
        assert eventually(lambda: has_printed("四"))
        file.write("四つ".encode()[4:] + b"\n")
    assert eventually(lambda: has_printed("四つ\n"))
    write(sweep, "llm-0", FAILED, cause="no memory", log=str(sweep.log("llm-0")))
    follower.join(20)
    assert codes == [0]
    assert has_printed("llm-0: failed: no memory")
    assert "second" not in output


def test_a_log_begun_anew_is_read_from_its_beginning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "log"
    reader = LogReader(path)
    reader.print_new()
    path.write_text("a long first start\n", encoding="utf-8")
    reader.print_new()
    path.write_text("second\n", encoding="utf-8")
    reader.print_new()
    assert capsys.readouterr().out == "a long first start\nsecond\n"


@given(st.lists(st.text("ab", max_size=5), max_size=30), st.integers(0, 12), st.booleans(), st.integers(1, 9))
def test_the_last_lines_are_those_of_the_whole_text(lines: list[str], num: int, has_end: bool, block: int) -> None:
    content = "\n".join(lines).encode() + (b"\n" if has_end else b"")
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"japagen-test-{os.getpid()}.log"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "_BLOCK", block)
        start = start_of_last(path, num)
    path.unlink()
    whole = content.splitlines(keepends=True)
    assert content[start:] == b"".join(whole[-num:] if num else whole)
