"""A unit's work: what fails stays with those that need it, and every end leaves its cause in the unit's state."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from japagen.errors import ConfigError, ServerError, TrainingError
from japagen.experiments.experiment import Experiment
from japagen.experiments.stages import is_complete
from japagen.experiments.training_rows import build_dataset
from japagen.llm.client import Reply, Request
from japagen.store.files import read_json, write_json
from japagen.store.store import Store
from japagen.sweeps.folder import DONE, FAILED, RUNNING, UNFINISHED, State, SweepFolder, Unit
from japagen.sweeps.overview import why_missing
from launch import work
from launch.planning import pinned, plan_experiments, plan_units, planned
from launch.work import UnitReport, check_plan, run_unit
from launch.worker import work as do_units
from tests.conftest import Compose
from tests.stubs.memory_server import DEADLY, REFUSING, MemoryClient, MemoryServer
from tests.stubs.streams import fill_stream_of


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> MemoryServer:
    stub = MemoryServer()
    monkeypatch.setattr(work, "serve", stub.serve)
    monkeypatch.setattr(work, "Client", stub.client)
    return stub


@dataclass
class Sweep:
    """A planned sweep of `jcola` experiments, one for each list of overrides."""

    folder: SweepFolder
    experiments: list[Experiment]
    units: dict[str, Unit]
    store: Store

    def run(self, id_: str) -> State:
        unit = self.units[id_]
        return run_unit(self.folder, unit, [self.experiments[number] for number in unit.experiments], self.store)


@pytest.fixture
def plan(composed: Compose, tmp_path: Path) -> Any:
    def make(*settings: Sequence[str]) -> Sweep:
        store = Store(tmp_path / "store")
        own = [f"store={store.root}", "logger=none", "task=jcola", "num_per_label=10"]
        experiments = plan_experiments([composed(*own, *overrides) for overrides in settings])
        units = plan_units(experiments, store)
        folder = SweepFolder.create(store, "sweep", [pinned(one) for one in experiments], planned(experiments), units)
        return Sweep(folder, experiments, {unit.id: unit for unit in units}, store)

    return make


def keys_of(sweep: Sweep, stage: str) -> list[str]:
    return [experiment.keys[stage] for experiment in sweep.experiments]


def test_one_server_start_fills_every_stream(plan: Any, server: MemoryServer) -> None:
    sweep = plan(["task=jcola"], ["task=jsts"], ["synthesis.seed=1"])
    state = sweep.run("llm-0")
    assert (state.state, state.cause, state.faults, state.attempts) == (DONE, "", {}, 1)
    assert server.starts == 1
    assert server.open == 0
    assert all(is_complete(one, "stream", sweep.store) for one in sweep.experiments)
    assert sweep.folder.state("llm-0") == state
    assert len(state.progress) == 3, "streams that differ in their seed only are told apart"
    assert all(progress["accepted"] == progress["wanted"] for progress in state.progress.values())


def test_what_is_there_costs_no_server(plan: Any, server: MemoryServer) -> None:
    sweep = plan(["task=jcola"])
    fill_stream_of(sweep.experiments[0], sweep.store)
    assert sweep.run("llm-0").state == DONE
    assert server.starts == 0


def test_a_fault_in_one_stream_fails_only_what_needs_it(plan: Any, server: MemoryServer, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = plan([f"llm.sampling.temperature={REFUSING}"], ["task=jcola"], ["task=jsts"])
    state = sweep.run("llm-0")
    bad, *good = keys_of(sweep, "dataset")
    assert state.state == FAILED
    assert set(state.faults) == {bad}
    assert "replies were rejected as 'refusal'" in state.faults[bad]
    assert state.cause == state.faults[bad]
    assert "error: " in capsys.readouterr().out
    assert [build_dataset(one, sweep.store).name for one in sweep.experiments[1:]] == good


def test_a_student_without_texts_names_the_llm_units_cause(plan: Any, server: MemoryServer) -> None:
    sweep = plan([f"llm.sampling.temperature={REFUSING}"], ["task=jcola"])
    sweep.run("llm-0")
    state = sweep.run("student-0000")
    assert state.state == FAILED
    assert "the texts that the student learns from are not all written: llm-0 failed: " in state.cause
    assert "replies were rejected as 'refusal'" in state.cause
    assert set(state.faults) == {sweep.experiments[0].keys["dataset"]}


@pytest.mark.parametrize(
    ("left", "message"),
    [
        (None, "llm-0 waiting"),
        (State(RUNNING), "llm-0 was ended from outside"),
        (
            State(UNFINISHED, "SLURM told it to end (time limit or preemption)"),
            "llm-0 unfinished: SLURM told it to end (time limit or preemption)",
        ),
        (State(FAILED, "a; b", faults={"other": "a"}), "llm-0 failed: a; b"),
    ],
)
def test_a_missing_text_tells_what_became_of_the_unit(plan: Any, left: State | None, message: str) -> None:
    sweep = plan(["task=jcola"])
    if left is not None:
        sweep.folder.write_state("llm-0", left)
    assert why_missing(sweep.folder, sweep.units["student-0000"], "key") == message
    assert "no unit of this sweep writes them" in why_missing(sweep.folder, sweep.units["llm-0"], "key")


def test_a_server_that_does_not_start_fails_what_is_missing(plan: Any, server: MemoryServer) -> None:
    sweep = plan(["task=jcola"], ["task=jsts"])
    fill_stream_of(sweep.experiments[0], sweep.store)  # by somebody else, since the plan was made
    server.start_fault = ServerError("vLLM ended with code 1")
    state = sweep.run("llm-0")
    assert state.state == FAILED
    assert state.faults == {sweep.experiments[1].keys["dataset"]: "vLLM ended with code 1"}


def test_a_server_gone_for_good_fails_the_rest_of_the_group(plan: Any, server: MemoryServer) -> None:
    sweep = plan(["task=jcola"], [f"llm.sampling.temperature={DEADLY}"], ["task=jsts"])
    order = {sweep.experiments[number].keys["stream"]: number for number in sweep.units["llm-0"].experiments}
    state = sweep.run("llm-0")
    rest = list(order.values())[list(order.values()).index(1) :]
    assert state.faults == {sweep.experiments[number].keys["dataset"]: "vLLM died 3 times" for number in rest}
    assert server.asked.count(DEADLY) < 50, "nothing more is asked of it"
    assert server.open == 0


def test_an_unexpected_exception_is_a_fault_of_ours(plan: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("by zero")

    sweep = plan(["method=gold"])
    monkeypatch.setattr(work, "make_result", fail)
    state = sweep.run("student-0000")
    assert state.state == FAILED
    assert state.cause == "ZeroDivisionError: by zero (a fault of japagen's: its traceback is in the log)"
    assert "in fail" in capsys.readouterr().err


def test_a_fault_of_the_users_has_no_traceback(plan: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> None:
        raise TrainingError("the training loss is nan")

    sweep = plan(["method=gold"])
    monkeypatch.setattr(work, "make_result", fail)
    assert sweep.run("student-0000").cause == "the training loss is nan"
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("raised", [KeyboardInterrupt(), SystemExit(143)])
def test_an_interruption_leaves_the_unit_unfinished(plan: Any, monkeypatch: pytest.MonkeyPatch, raised: BaseException) -> None:
    def stop(*_: object) -> None:
        raise raised

    sweep = plan(["method=gold"])
    monkeypatch.setattr(work, "make_result", stop)
    with pytest.raises(KeyboardInterrupt):
        sweep.run("student-0000")
    state = sweep.folder.state("student-0000")
    assert (state.state, state.cause) == (UNFINISHED, "it was stopped by hand")
    assert state.ended is not None


def test_an_interruption_while_generating_keeps_the_rows(plan: Any, server: MemoryServer, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = plan(["task=jcola"])
    complete = MemoryClient.complete

    async def stop(self: MemoryClient, request: Request) -> Reply:
        if len(server.asked) >= 2:
            raise KeyboardInterrupt
        return await complete(self, request)

    monkeypatch.setattr(MemoryClient, "complete", stop)
    with pytest.raises(KeyboardInterrupt):
        sweep.run("llm-0")
    assert sweep.folder.state("llm-0").state == UNFINISHED
    assert server.open == 0
    assert not list((sweep.store.root / "locks").iterdir())
    monkeypatch.setattr(MemoryClient, "complete", complete)
    again = sweep.run("llm-0")
    assert (again.state, again.attempts) == (DONE, 2)


def test_each_start_is_counted_and_names_its_job(plan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = plan(["method=gold"])
    unit = sweep.units["student-0000"]
    first = UnitReport(sweep.folder, unit).state
    assert (first.attempts, first.slurm_job, first.state) == (1, None, RUNNING)
    assert first.log == str(sweep.folder.log(unit.id))
    monkeypatch.setenv("SLURM_JOB_ID", "14")
    assert UnitReport(sweep.folder, unit).state.slurm_job == "14"
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "12")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    sweep.folder.write_submitted({unit.id: {"job": "12_3", "log": "/logs/12_3"}})
    third = UnitReport(sweep.folder, unit).state
    assert (third.attempts, third.slurm_job, third.log) == (3, "12_3", "/logs/12_3")


def test_keys_differing_from_the_plan_are_refused(plan: Any) -> None:
    sweep = plan(["method=gold"])
    (named,) = sweep.folder.experiments()
    check_plan(named, sweep.experiments[0])
    changed = copy.deepcopy(named)
    changed.keys["model"] = "another"
    with pytest.raises(ConfigError, match=r"the model key\(s\) found here differ from the plan"):
        check_plan(changed, sweep.experiments[0])


def test_a_worker_that_finds_other_keys_does_nothing(plan: Any) -> None:
    sweep = plan(["method=gold"])
    content = read_json(sweep.folder.root / "plan.json")
    content["experiments"][0]["keys"]["result"] = "another"
    write_json(sweep.folder.root / "plan.json", content)
    assert do_units(sweep.folder, ["student-0000"]) == 1
    state = sweep.folder.state("student-0000")
    assert state.state == FAILED
    assert "result key(s) found here differ from the plan" in state.cause
    assert not (sweep.store.root / "models").exists()


def test_a_worker_reads_the_plan_once(plan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = plan(["method=gold"], ["method=gold", "seed=1"])
    folder, read = SweepFolder(sweep.folder.root), list[str]()

    def counted(path: Path) -> Any:
        read.append(path.name)
        return read_json(path)

    monkeypatch.setattr("japagen.sweeps.folder.read_json", counted)
    monkeypatch.setattr("launch.worker.run_unit", lambda *_: State(DONE))
    assert do_units(folder, ["student-0000", "student-0001"]) == 0
    assert read.count("plan.json") == 1


@pytest.mark.parametrize("changed", [{"units": [{"id": "student-0000", "work": 1}]}, {"experiments": [{"title": "x"}]}, {"units": None}])
def test_a_worker_that_does_not_know_the_plans_form_says_what_to_do(
    plan: Any, capsys: pytest.CaptureFixture[str], changed: dict[str, Any]
) -> None:
    folder = plan(["method=gold"]).folder
    write_json(folder.root / "plan.json", read_json(folder.root / "plan.json") | changed)
    assert do_units(folder, ["student-0000"]) == 1
    state = folder.state("student-0000")
    assert (state.state, state.attempts) == (FAILED, 1)
    assert "its plan.json is not one of this version's" in state.cause
    assert state.cause.endswith("; start the sweep again")
    assert f"error: {state.cause}" in capsys.readouterr().out


def test_a_worker_told_to_end_while_it_plans_says_so(plan: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    sweep = plan(["method=gold"])
    monkeypatch.setattr("launch.worker.Planner.plan", stop)
    with pytest.raises(KeyboardInterrupt):
        do_units(sweep.folder, ["student-0000"])
    assert sweep.folder.state("student-0000").state == UNFINISHED


def test_a_worker_goes_on_after_a_unit_that_failed(plan: Any, server: MemoryServer) -> None:
    sweep = plan([f"llm.sampling.temperature={REFUSING}"], ["task=jcola", "llm.max_model_len=512"])
    assert do_units(sweep.folder, ["llm-0", "llm-1"]) == 1
    assert [sweep.folder.state(id_).state for id_ in ("llm-0", "llm-1")] == [FAILED, DONE]
