"""The queue of workers on one machine: slots, order, needs, and workers that die, with small programs in the workers' place."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

from japagen.errors import ConfigError, StoreError
from japagen.store.store import Store
from japagen.sweeps.folder import DONE, FAILED, LLM, RUNNING, STUDENT, UNFINISHED, State, SweepFolder, Unit
from launch import local
from launch.local import find_slots, parse_gpu_list, run_queue, visible_gpus, worker_command
from tests.conftest import ROOT, Compose
from tests.stubs.waiting import eventually

PLAIN = "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-5a8a1c0e-4b52-0ab2-93d7-1f2c3d4e5f60)\n"
PARTED = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-11111111-aaaa-bbbb-cccc-000000000000)
  MIG 3g.20gb     Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)
  MIG 3g.20gb     Device  1: (UUID: MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-22222222-aaaa-bbbb-cccc-000000000000)
"""
OLD_PARTS = """\
GPU 0: A100-SXM4-40GB (UUID: GPU-33333333-aaaa)
  MIG 1g.5gb Device 0: (UUID: MIG-GPU-33333333-aaaa/1/0)
"""


def test_gpus_as_nvidia_smi_lists_them() -> None:
    assert parse_gpu_list("") == []
    assert parse_gpu_list("No devices found.\n") == []
    assert parse_gpu_list(PLAIN) == ["GPU-5a8a1c0e-4b52-0ab2-93d7-1f2c3d4e5f60"]
    assert parse_gpu_list(PLAIN + PLAIN.replace("GPU 0", "GPU 1").replace("5a8a", "6b9b"))[1].startswith("GPU-6b9b")
    assert parse_gpu_list(PARTED) == [
        "MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f",
        "MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb",
        "GPU-22222222-aaaa-bbbb-cccc-000000000000",
    ], "of a parted GPU its parts, of another itself"
    assert parse_gpu_list(OLD_PARTS) == ["MIG-GPU-33333333-aaaa/1/0"]


@pytest.mark.parametrize(
    ("visible", "gpus"),
    [
        ("0", ["0"]),
        ("2, 0", ["2", "0"]),
        ("GPU-5a8a1c0e,GPU-6b9b", ["GPU-5a8a1c0e", "GPU-6b9b"]),
        ("MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f", ["MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f"]),
        ("MIG-GPU-33333333-aaaa/1/0", ["MIG-GPU-33333333-aaaa/1/0"]),
        ("", []),
        ("-1", []),
        ("1,-1,0", ["1"]),
        ("0,0", ["0"]),
        ("NoDevFiles", []),
    ],
)
def test_gpus_as_the_environment_allows_them(monkeypatch: pytest.MonkeyPatch, visible: str, gpus: list[str]) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert visible_gpus() == gpus


def test_gpus_of_a_machine_that_names_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{PARTED}END\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert visible_gpus() == parse_gpu_list(PARTED)
    program.write_text("#!/bin/sh\nexit 9\n", encoding="utf-8")  # no driver
    assert visible_gpus() == [str(number) for number in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]


@pytest.fixture
def four_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "installed_build", lambda: "cuda")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")


def unit(id_: str, gpus: int = 1, needs: Sequence[str] = ()) -> Unit:
    return Unit(id_, LLM if id_.startswith("llm") else STUDENT, f"name of {id_}", (0,), tuple(needs), gpus)


def test_slots_are_the_gpus_or_as_many_as_asked_for(composed: Compose, four_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_slots(composed(), []) == ["0", "1", "2", "3"]
    assert find_slots(composed("workers=3"), []) == ["0", "1", "2"]
    assert find_slots(composed("workers=3", "device=cpu"), []) == ["", "", ""]
    monkeypatch.setattr(local, "installed_build", lambda: "cpu")
    assert find_slots(composed(), []) == [""], "on the CPU one worker, unless told"
    assert find_slots(composed("workers=2"), []) == ["", ""]


def test_more_workers_than_gpus_are_refused(composed: Compose, four_gpus: None) -> None:
    with pytest.raises(ConfigError, match=r"workers=5, but 4 GPU\(s\) are visible: 0, 1, 2, 3; a worker holds one"):
        find_slots(composed("workers=5"), [])


def test_a_server_larger_than_the_slots_is_refused(composed: Compose, four_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(find_slots(composed(), [unit("llm-0", gpus=4)])) == 4
    with pytest.raises(ConfigError, match=r"name of llm-0 takes llm\.gpus=8 GPUs, but the workers hold 4: 0, 1, 2, 3"):
        find_slots(composed(), [unit("llm-0", gpus=8)])
    with pytest.raises(ConfigError, match=r"llm\.gpus=4 GPUs, but the workers hold 2: 0, 1"):
        find_slots(composed("workers=2"), [unit("llm-0", gpus=4)])
    assert find_slots(composed("workers=1"), [unit("llm-0", gpus=4)]) == ["0"], "a single worker is this process, with all GPUs"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(ConfigError, match=r"llm\.gpus=2 GPUs, but the workers hold 1: 0"):
        find_slots(composed(), [unit("llm-0", gpus=2)])


WORKER = """
import json, os, signal, sys, time
from pathlib import Path

root, unit, began = Path(sys.argv[1]), sys.argv[2], time.time()
script = json.loads((root / "script.json").read_text())
note = lambda what: os.write(events, json.dumps([what, unit, os.environ.get("CUDA_VISIBLE_DEVICES"), os.getpid()]).encode() + b"\\n")
events = os.open(root / "events", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def state(name, **more):
    path = root / "units" / f"{unit}.json"
    attempts = json.loads(path.read_text())["attempts"] if path.is_file() and name != "running" else script.get("attempts", 0) + 1
    path.with_suffix(".new").write_text(json.dumps({"state": name, "started": began, "attempts": attempts, **more}))
    path.with_suffix(".new").replace(path)

def stop(*_):
    state("unfinished", cause="told to end", ended=time.time())
    note("stopped")
    sys.exit(130)

signal.signal(signal.SIGTERM, stop)
note("start")
how = script["how"].get(unit, "work")
if how == "dumb":
    sys.exit(3)
state("running")
if how == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if how == "endless":
    sys.stdin.read()
    note("alone")
    sys.exit(1)
for what, other in script["until"].get(unit, []):
    while f'["{what}", "{other}"' not in (root / "events").read_text():
        time.sleep(0.01)  # until another stub has started or ended: it has no other way to hear of it
time.sleep(script["takes"].get(unit, 0.0))  # the stub's work; its slots are held meanwhile
note("end")
state("failed" if how == "failed" else "done", cause="why" if how == "failed" else "", ended=time.time())
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SweepFolder:
    """A sweep's folder whose workers are WORKER."""
    (tmp_path / "worker.py").write_text(WORKER, encoding="utf-8")
    own = SweepFolder.create(Store(tmp_path), "queue", [], [], [])
    monkeypatch.setattr(local, "worker_command", lambda folder, unit: stub_command(folder.root, unit.id))
    tell(own)
    return own


def stub_command(root: Path, id_: str) -> list[str]:
    return [sys.executable, "-I", str(root.parent.parent / "worker.py"), str(root), id_]


def tell(
    folder: SweepFolder, how: dict[str, str] | None = None, until: Any = None, takes: dict[str, float] | None = None, **more: Any
) -> None:
    """What the stub workers do: end as `how` says, once `until` (pairs such as ("end", "llm-0")) has happened, after `takes` seconds."""
    script = {"how": how or {}, "until": until or {}, "takes": takes or {}, **more}
    (folder.root / "script.json").write_text(json.dumps(script), encoding="utf-8")


def events(folder: SweepFolder) -> list[tuple[str, str, str | None, int]]:
    path = folder.root / "events"
    return [tuple(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def order(folder: SweepFolder, what: str = "start") -> list[str]:
    return [id_ for happened, id_, *_ in events(folder) if happened == what]


def run(folder: SweepFolder, units: Sequence[Unit], slots: Sequence[str]) -> list[str]:
    """Runs the queue; the units in the order in which they were told to have ended."""
    ended: list[str] = []
    run_queue(folder, units, slots, lambda unit: ended.append(unit.id))
    return ended


def test_the_workers_command_is_a_real_one(tmp_path: Path) -> None:
    command = worker_command(SweepFolder(tmp_path), unit("student-0000"))
    assert command[:3] == [sys.executable, "-m", "launch.worker"]
    assert command[-2:] == [str(tmp_path), "student-0000"]


def test_never_more_than_the_slots_and_each_gpu_for_one(folder: SweepFolder) -> None:
    sizes = [2, 1, 3, 1, 1, 2, 4, 1, 1, 2]
    needs = {6: ["student-2"], 9: ["student-5"]}
    units = [unit(f"student-{number}", size, needs.get(number, [])) for number, size in enumerate(sizes)]
    tell(folder, until={"student-0": [("start", "student-1")]}, takes=dict.fromkeys((one.id for one in units), 0.05))
    assert sorted(run(folder, units, ["0", "1", "GPU-a", "MIG-b/1"])) == sorted(one.id for one in units)
    running: dict[str, set[str]] = {}
    most = 0
    for what, id_, devices, _ in events(folder):
        if what == "end":
            del running[id_]
            continue
        own = set((devices or "").split(","))
        assert len(own) == sizes[int(id_.split("-")[1])]
        assert own <= {"0", "1", "GPU-a", "MIG-b/1"}
        assert not any(own & held for held in running.values()), "a GPU serves one worker"
        running[id_] = own
        most = max(most, sum(map(len, running.values())))
    assert most > 1, "they ran side by side"


def test_units_start_in_order_and_after_what_they_need(folder: SweepFolder) -> None:
    units = [
        unit("llm-0"),
        unit("llm-1"),
        unit("student-0", needs=["llm-1"]),
        unit("student-1", needs=["llm-0", "llm-1"]),
        unit("student-2"),
    ]
    tell(folder, until={"llm-0": [("end", "student-0")], "llm-1": [("start", "llm-0")]})
    run(folder, units, ["", ""])
    starts, ends = order(folder), order(folder, "end")
    assert set(starts[:2]) == {"llm-0", "llm-1"}
    assert starts[2] == "student-0", "it doesn't wait for the LLM that writes for others"
    assert ends.index("llm-0") > ends.index("student-0")
    assert sorted(starts) == sorted(one.id for one in units)
    happened = [(what, id_) for what, id_, *_ in events(folder)]
    assert happened.index(("start", "student-1")) > happened.index(("end", "llm-0"))


def test_a_unit_that_takes_two_slots_is_not_starved(folder: SweepFolder) -> None:
    units = [unit("a"), unit("b"), unit("large", gpus=2), unit("c"), unit("d")]
    tell(folder, until={"b": [("end", "a")]}, takes={"b": 0.4})  # a's slot is free for long enough to give it to c
    run(folder, units, ["0", "1"])
    assert order(folder)[2] == "large"


def test_a_unit_larger_than_all_slots_takes_them_all(folder: SweepFolder) -> None:
    assert run(folder, [unit("llm-0", gpus=4), unit("student-0")], ["", ""]) == ["llm-0", "student-0"]


def test_on_the_cpu_cores_are_shared_out(folder: SweepFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    environment = local._Queue(folder, [], ["", "", ""], print)._environment([""])
    assert environment["OMP_NUM_THREADS"] == "2"
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert local._Queue(folder, [], ["", ""], print)._environment([""])["OMP_NUM_THREADS"] == "5", "the user's word counts"


def test_a_failure_stops_no_other(folder: SweepFolder, capsys: pytest.CaptureFixture[str]) -> None:
    tell(folder, how={"llm-0": "failed"})
    assert run(folder, [unit("llm-0"), unit("student-0", needs=["llm-0"]), unit("student-1")], ["", ""])
    assert {id_: state.state for id_, state in folder.states().items()} == {"llm-0": FAILED, "student-0": DONE, "student-1": DONE}
    printed = capsys.readouterr().out
    assert "llm-0 failed 0 s name of llm-0: why" in printed
    assert "student-1 done 0 s name of student-1\n" in printed


def test_a_worker_killed_without_a_word_is_told(folder: SweepFolder, capsys: pytest.CaptureFixture[str]) -> None:
    tell(folder, how={"student-0": "killed"})
    assert sorted(run(folder, [unit("student-0"), unit("student-1"), unit("student-2")], ["", ""])) == [
        "student-0",
        "student-1",
        "student-2",
    ]
    state = folder.state("student-0")
    assert state.state == UNFINISHED
    assert state.cause == f"the worker ended without a word (killed by SIGKILL: out of memory?), see {folder.log('student-0')}"
    assert state.ended is not None
    assert [folder.state(f"student-{number}").state for number in (1, 2)] == [DONE, DONE]
    assert "student-0 unfinished" in capsys.readouterr().out


@pytest.mark.parametrize("before", [DONE, FAILED, RUNNING])
def test_an_earlier_starts_word_is_not_taken_for_this_ones(folder: SweepFolder, before: str) -> None:
    earlier = State(before, "an earlier cause", started=1.0, ended=None if before == RUNNING else 2.0, attempts=1)
    folder.write_state("student-0", earlier)
    tell(folder, how={"student-0": "dumb"})
    run(folder, [unit("student-0")], ["", ""])
    state = folder.state("student-0")
    assert (state.state, state.attempts) == (UNFINISHED, 2)
    assert "ended without a word (exit code 3)" in state.cause
    assert state.started is not None
    assert state.ended is not None
    assert 0 <= state.ended - state.started < 60


CLIENT = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from launch import local
from japagen.sweeps.folder import SweepFolder
from tests.launch.test_local import stub_command, unit
local.worker_command = lambda folder, unit: stub_command(folder.root, unit.id)
print("ready", flush=True)
local.run_queue(SweepFolder(Path(sys.argv[1])), [unit(f"student-{{n}}") for n in range(5)], ["", "", ""], print)
"""


def start_client(folder: SweepFolder) -> tuple[subprocess.Popen[bytes], list[int]]:
    """A real client with three endless workers of its own: (client, the workers' pids)."""
    tell(folder, how={f"student-{number}": "endless" for number in range(5)})
    # a shell's background job, which pytest may be, ignores SIGINT, and so would its children
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT.format(root=str(ROOT)), str(folder.root)],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    running = eventually(lambda: sum(state.state == RUNNING for state in folder.states().values()) == 3 or client.poll() is not None, 60)
    assert running
    assert client.poll() is None
    return client, [pid for *_, pid in events(folder)]


def test_ctrl_c_ends_all_workers(folder: SweepFolder) -> None:
    client, workers = start_client(folder)
    try:
        os.killpg(client.pid, signal.SIGINT)  # as a terminal does; workers have sessions of their own
        assert client.wait(30) != 0
    finally:
        client.kill()
    assert not any(psutil.pid_exists(pid) for pid in workers)
    assert sorted(order(folder, "stopped")) == ["student-0", "student-1", "student-2"], "each put away what it had"
    assert {state.state for state in folder.states().values()} == {UNFINISHED}
    assert len(order(folder)) == 3, "no other was started"


def test_workers_of_a_killed_client_see_that_it_is_gone(folder: SweepFolder) -> None:
    client, workers = start_client(folder)
    client.kill()
    client.wait()
    assert eventually(lambda: len(order(folder, "alone")) == 3)
    assert eventually(lambda: not any(psutil.pid_exists(pid) for pid in workers))


def test_a_worker_that_cannot_be_started_stops_no_other(folder: SweepFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def command(own: SweepFolder, one: Unit) -> list[str]:
        return ["/no/such/program"] if one.id == "student-0" else stub_command(own.root, one.id)

    monkeypatch.setattr(local, "worker_command", command)
    assert sorted(run(folder, [unit("student-0"), unit("student-1"), unit("student-2", gpus=2)], ["", ""])) == [
        "student-0",
        "student-1",
        "student-2",
    ]
    assert {id_: state.state for id_, state in folder.states().items()} == {"student-0": FAILED, "student-1": DONE, "student-2": DONE}
    assert "the worker couldn't be started: " in folder.state("student-0").cause


def test_a_fault_of_the_client_leaves_no_worker(folder: SweepFolder) -> None:
    def fail(one: Unit) -> None:
        raise StoreError("the disk is full")

    tell(folder, how={"student-0": "endless"})
    with pytest.raises(StoreError):
        run_queue(folder, [unit("student-0"), unit("student-1")], ["", ""], fail)
    assert not any(psutil.pid_exists(pid) for *_, pid in events(folder))
