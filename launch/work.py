"""A unit's work, wherever it runs: one LLM's streams behind one server start, or one student; its state is kept as it goes.

The store is asked first, so a unit that somebody else did costs nothing, and one that died goes on where it was.
"""

import asyncio
import os
import socket
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict, replace

from japagen.errors import ConfigError, JapagenError, MissingTextsError
from japagen.llm.client import Client
from japagen.llm.endpoint import Endpoint
from japagen.llm.server import serve
from japagen.methods import Experiment, fill_stream, llm_location, stream_is_complete
from japagen.results import find_result, make_result
from japagen.store import Store
from japagen.synthesis.generate import Progress
from japagen.tracking import track
from launch import signals
from launch.folder import DONE, FAILED, LLM, RUNNING, UNFINISHED, Planned, State, SweepFolder, Unit
from launch.progress import show_progress

PROGRESS_S = 2.0
"""An LLM unit's state is written this often while it generates."""


class Report:
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

    def progress(self, name: str, progress: Progress) -> None:
        """Notes how far a stream is."""
        self.state = replace(self.state, progress=self.state.progress | {name: asdict(progress)})
        if time.time() - (self.state.updated or 0) > PROGRESS_S:
            self.state = self._folder.write_state(self._unit.id, self.state)

    def end(self, state: str, cause: str = "", faults: dict[str, str] | None = None) -> State:
        """The unit's last word of this start."""
        ended = replace(self.state, state=state, cause=cause, ended=time.time(), faults=faults or {})
        self.state = self._folder.write_state(self._unit.id, ended)
        return self.state


def run_unit(folder: SweepFolder, unit: Unit, experiments: Sequence[Experiment], store: Store) -> State:
    """Does the unit; its faults become its state, only an interruption goes on to the caller."""
    report = Report(folder, unit)
    try:
        if unit.kind == LLM:
            faults = fill_streams(experiments, store, report)
            return report.end(FAILED if faults else DONE, "; ".join(dict.fromkeys(faults.values())), faults)
        train_and_score(experiments[0], store, folder.name)
        return report.end(DONE)
    except MissingTextsError as error:
        key = experiments[0].keys["dataset"]
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


def fill_streams(experiments: Sequence[Experiment], store: Store, report: Report) -> dict[str, str]:
    """Asks the LLM for what the experiments' data sets miss, behind one server start; {data set key: cause} of what failed."""
    missing = [experiment for experiment in experiments if not stream_is_complete(experiment, store)]
    if not missing:
        return {}
    faults: dict[str, str] = {}
    config = missing[0].config
    say(f"{config.llm.name}: {config.llm.base_url or 'starting vLLM'}, {len(missing)} data set(s) to write for")
    try:
        location, revision = llm_location(missing[0])
        with serve(config.llm, location, revision, store.root / "logs", config.device) as endpoint:
            for experiment in missing:
                _fill(experiment, store, endpoint, faults, report)
    except Exception as error:
        cause = cause_of(error)
        say(f"error: {error}")
        for experiment in missing:
            if not stream_is_complete(experiment, store):
                faults.setdefault(experiment.keys["dataset"], cause)
    return faults


def _fill(experiment: Experiment, store: Store, endpoint: Endpoint, faults: dict[str, str], report: Report) -> None:
    config = experiment.config
    name = f"{config.task.name} {config.shots}-shot {config.prompt.name}"

    async def fill() -> None:
        async with Client(endpoint, config.llm.id, config.synthesis.concurrency) as client:
            with show_progress(name) as display:

                def show(progress: Progress) -> None:
                    display.show(progress)
                    report.progress(f"{name} {experiment.keys['stream'][:8]}", progress)  # streams may differ in what no name says

                await fill_stream(experiment, store, client, show)

    try:
        asyncio.run(fill())
    except Exception as error:
        if endpoint.failure() is not None:
            raise  # the server is gone for good, so the rest of the group can't be served either
        faults[experiment.keys["dataset"]] = cause_of(error)
        say(f"error: {error}")


def train_and_score(experiment: Experiment, store: Store, group: str) -> None:
    """The student and its result, unless the store has them; curves and scores go to W&B under the sweep's name."""
    if find_result(experiment, store) is not None:
        return
    with track(experiment, group, store.root.parent / "wandb") as tracker:
        tracker.log_result(make_result(experiment, store, tracker.on_metrics, say))


def why_missing(folder: SweepFolder, unit: Unit, dataset_key: str) -> str:
    """What has become of the units that should have written a student's texts."""
    causes = []
    for need in unit.needs:
        state = folder.state(need)
        told = "was ended from outside" if state.state == RUNNING else state.state
        cause = state.faults.get(dataset_key) or state.cause
        causes.append(f"{need} {told}{': ' + cause if cause else ''}")
    return "; ".join(causes) or "no unit of this sweep writes them; start the sweep again"


def cause_of(error: Exception) -> str:
    """The words for a failure's row; a fault of ours also prints where it happened."""
    if isinstance(error, JapagenError):
        return str(error)
    traceback.print_exception(error)
    return f"{type(error).__name__}: {error} (a fault of japagen's: its traceback is in the log)"


def say(line: str) -> None:
    """A line for whoever watches, at once."""
    print(line, flush=True)
