"""A unit's work, wherever it runs: what one LLM makes behind one server start, or one student; its state is kept as it goes.

The store is asked first, so a unit that somebody else did costs nothing, and one that died goes on where it was.
"""

import asyncio
import os
import socket
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

from japagen.errors import ConfigError, JapagenError, MissingTextsError
from japagen.experiments.experiment import Experiment, llm_location
from japagen.experiments.scoring import find_result, make_result
from japagen.experiments.stages import fill, is_complete
from japagen.llm.client import Client
from japagen.llm.endpoint import Endpoint
from japagen.llm.server import serve
from japagen.store.store import Store
from japagen.sweeps.folder import DONE, FAILED, LLM, RUNNING, UNFINISHED, Planned, State, SweepFolder, Unit
from japagen.sweeps.overview import why_missing
from japagen.synthesis.generate import StreamProgress
from japagen.tracking import track
from launch import signals
from launch.console import say, say_error
from launch.planning import stages_of
from launch.progress import show_progress

PROGRESS_S = 2.0
"""An LLM unit's state is written this often while it generates."""


class UnitReport:
    """Keeps a unit's state file true while the unit runs."""

    def __init__(self, folder: SweepFolder, unit: Unit) -> None:
        self._folder, self._unit = folder, unit
        before = folder.state(unit.id)
        job = os.environ.get("SLURM_JOB_ID")
        if "SLURM_ARRAY_JOB_ID" in os.environ:
            job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
        log = folder.submitted().get(unit.id, {}).get("log") or str(folder.log(unit.id))
        self.state = State(RUNNING, "", socket.gethostname(), os.getpid(), job, time.time(), attempts=before.attempts + 1, log=log)
        self.state = folder.write_state(unit.id, self.state)

    def progress(self, name: str, progress: StreamProgress) -> None:
        """Notes how far a stream is."""
        self.state = replace(self.state, progress=self.state.progress | {name: asdict(progress)})
        if time.time() - (self.state.updated or 0) > PROGRESS_S:
            self.state = self._folder.write_state(self._unit.id, self.state)

    def end(self, state: str, cause: str = "", faults: dict[str, str] | None = None) -> State:
        """Writes the unit's final state of this start."""
        ended = replace(self.state, state=state, cause=cause, ended=time.time(), faults=faults or {})
        self.state = self._folder.write_state(self._unit.id, ended)
        return self.state


def run_unit(
    folder: SweepFolder, unit: Unit, experiments: Sequence[Experiment], store: Store, meanwhile: Callable[[], None] | None = None
) -> State:
    """Does the unit; its faults become its state, only an interruption goes on to the caller. `meanwhile`: called while a server starts."""
    report = UnitReport(folder, unit)
    try:
        if unit.kind == LLM:
            faults = do_llm_work(unit, experiments, store, report, meanwhile)
            return report.end(FAILED if faults else DONE, "; ".join(dict.fromkeys(faults.values())), faults)
        train_and_score(experiments[0], store, folder.name)
        return report.end(DONE)
    except MissingTextsError as error:
        key = experiments[0].rows_key
        return report.end(FAILED, f"{error}: {why_missing(folder, unit, key)}", {key: str(error)})
    except (KeyboardInterrupt, SystemExit):  # Lightning makes the latter of SIGTERM
        report.end(UNFINISHED, signals.cause())
        raise KeyboardInterrupt from None
    except Exception as error:  # the boundary of one unit: the others go on
        return report.end(FAILED, cause_of(error))


def check_plan(planned: Planned, experiment: Experiment) -> None:
    """Raises ConfigError when this machine finds other keys than the plan: then it reads other files, or runs other code."""
    differing = [stage for stage, key in planned.keys.items() if experiment.keys.get(stage) != key]
    if differing:
        raise ConfigError(
            f"{planned.name}: the {', '.join(differing)} key(s) found here differ from the plan: gold data, a model's files or the"
            " code are not those that the client saw; start the sweep again"
        )


def do_llm_work(
    unit: Unit, experiments: Sequence[Experiment], store: Store, report: UnitReport, meanwhile: Callable[[], None] | None = None
) -> dict[str, str]:
    """Has the LLM make what the experiments miss of the unit's stages, behind one server start; {rows key: cause} of what failed."""

    def missing_stages(experiment: Experiment) -> list[str]:
        return [stage for stage in stages_of(experiment, unit.role) if not is_complete(experiment, stage, store)]

    missing = [(experiment, stages) for experiment in experiments if (stages := missing_stages(experiment))]
    if not missing:
        return {}
    faults: dict[str, str] = {}
    first, (stage, *_) = missing[0]
    llm = first.llm_of(stage)
    say(f"{llm.name}: {llm.base_url or 'starting vLLM'}, work for {len(missing)} data set(s) or sets of answers")
    try:
        location, revision = llm_location(first, stage)
        with serve(llm, location, revision, store.root / "logs", first.config.device, meanwhile) as endpoint:
            for experiment, stages in missing:
                for stage in stages:
                    if experiment.rows_key not in faults and not is_complete(experiment, stage, store):
                        _fill(experiment, stage, unit, store, endpoint, faults, report)
    except Exception as error:
        cause = cause_of(error)
        say_error(str(error))
        for experiment, _ in missing:
            if missing_stages(experiment):
                faults.setdefault(experiment.rows_key, cause)
    return faults


def _fill(
    experiment: Experiment, stage: str, unit: Unit, store: Store, endpoint: Endpoint, faults: dict[str, str], report: UnitReport
) -> None:  # fmt: skip
    config, llm = experiment.config, experiment.llm_of(stage)
    name = f"{config.task.name} {config.shots}-shot {config.prompt.name}" + ("" if stage == "stream" else f" {stage}")

    async def ask() -> None:
        async with Client(endpoint, llm.id, config.synthesis.concurrency, llm.request_args) as client:
            with show_progress(name) as display:

                def show(progress: StreamProgress) -> None:
                    display.show(progress)
                    report.progress(f"{name} {experiment.keys[stage][:8]}", progress)  # stages may differ in what no name says

                await fill(experiment, stage, store, client, show, unit.shard)

    try:
        asyncio.run(ask())
    except Exception as error:
        if endpoint.failure() is not None:
            raise  # the server is gone for good, so the rest of the group can't be served either
        faults[experiment.rows_key] = cause_of(error)
        say_error(str(error))


def train_and_score(experiment: Experiment, store: Store, group: str) -> None:
    """The student and its result, unless the store has them; W&B gets curves, scores and what it may have, under the sweep's name."""
    if find_result(experiment, store) is not None:
        return
    with track(experiment, group, store.wandb, say) as tracker:
        result = make_result(experiment, store, tracker.on_metrics, say)
        tracker.log_result(result)
        tracker.log_tables(experiment.task, result, store)
        tracker.log_artifacts(experiment, store)


def cause_of(error: Exception) -> str:
    """The words for a failure's row; a bug of japagen also prints its traceback."""
    if isinstance(error, JapagenError):
        return str(error)
    traceback.print_exception(error)
    return f"{type(error).__name__}: {error} (a fault of japagen's: its traceback is in the log)"
