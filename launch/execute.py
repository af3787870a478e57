"""Runs experiments in this process: LLM work first, one server start a group, server stopped, then the students.

A failure stays with the experiments that need what failed; all others are finished, and the table lists every one.
"""

import asyncio
import traceback
from collections.abc import Sequence

from japagen.config import Config
from japagen.errors import JapagenError
from japagen.llm.client import Client
from japagen.llm.endpoint import Endpoint
from japagen.llm.server import serve
from japagen.methods import Experiment, fill_stream, llm_location, stream_is_complete
from japagen.reporting.table import Failure, print_results
from japagen.results import Result, find_result, make_result
from japagen.store import Store
from japagen.tracking import run_name, track
from launch.planning import Group, check_devices, missing_llm_work, plan_experiments
from launch.progress import show_progress

Outcome = Result | Failure


def execute(configs: Sequence[Config], group: str) -> list[Outcome]:
    """Results or failures in the configurations' order; prints the table. `group` names the sweep in W&B.

    Raises ConfigError or DataError, before anything starts, when any of the experiments can't be run.
    """
    experiments = plan_experiments(configs)
    store = Store(configs[0].store)
    for line in dict.fromkeys(line for experiment in experiments for line in _gold_lines(experiment)):
        _say(line)
    groups = missing_llm_work(experiments, store)
    check_devices(groups)
    faults = _run_llm_work(groups, store)
    outcomes = [_run_student(experiment, store, group, faults) for experiment in experiments]
    print_results(outcomes)
    for line in _places(outcomes, store):
        _say(line)
    return outcomes


def _places(outcomes: Sequence[Outcome], store: Store) -> list[str]:
    """Where to find what was made: each artifact of a single experiment, the store of several."""
    if len(outcomes) == 1 and isinstance(outcomes[0], Result):
        return [f"{stage}: {store.path(stage, key)}" for stage, key in outcomes[0].keys.items()]
    return [f"store: {store.root}"]


def _gold_lines(experiment: Experiment) -> list[str]:
    """What gold data take part, under which licence, and how their files were read."""
    lines = []
    for use, split in (("scored on", experiment.evaluation), ("gold rows seen in training or prompts from", experiment.train_gold)):
        if split is not None:
            lines.append(f"{experiment.task.name}: {use} {split.source}, {len(split.examples)} rows, licence {split.license}")
            lines += [f"{experiment.task.name}: {note}" for note in split.notes]
    return lines


def failures(outcomes: Sequence[Outcome]) -> list[Failure]:
    """Those without a result."""
    return [outcome for outcome in outcomes if isinstance(outcome, Failure)]


def _say(line: str) -> None:
    print(line, flush=True)


def _run_llm_work(groups: Sequence[Group], store: Store) -> dict[str, str]:
    """Fills every group's streams; {data set key: cause} of what failed."""
    faults: dict[str, str] = {}
    for group in groups:
        llm = group.config.llm
        try:
            _say(f"{llm.name}: {llm.base_url or 'starting vLLM'}, {len(group.experiments)} data set(s) to write for")
            location, revision = llm_location(group.experiments[0])
            with serve(llm, location, revision, store.root / "logs", group.config.device) as endpoint:
                for experiment in group.experiments:
                    _run_stream(experiment, store, endpoint, faults)
        except Exception as error:
            cause = _cause(error)
            _say(f"error: {error}")
            for experiment in group.experiments:
                if not stream_is_complete(experiment, store):
                    faults.setdefault(experiment.keys["dataset"], cause)
    return faults


def _run_stream(experiment: Experiment, store: Store, endpoint: Endpoint, faults: dict[str, str]) -> None:
    config = experiment.config
    name = f"{config.task.name} {config.shots}-shot {config.prompt.name}"

    async def fill() -> None:
        async with Client(endpoint, config.llm.id, config.synthesis.concurrency) as client:
            with show_progress(name) as display:
                await fill_stream(experiment, store, client, display.show)

    try:
        with store.lock("stream", experiment.keys["stream"], _say):
            asyncio.run(fill())
    except Exception as error:
        if endpoint.failure() is not None:
            raise  # the server is gone for good, so the rest of the group can't be served either
        faults[experiment.keys["dataset"]] = _cause(error)
        _say(f"error: {error}")


def _run_student(experiment: Experiment, store: Store, group: str, faults: dict[str, str]) -> Outcome:
    name = run_name(experiment)
    cause = faults.get(experiment.keys.get("dataset", ""))
    if cause is not None:
        return Failure(name, experiment.task.name, cause)
    try:
        if (done := find_result(experiment, store)) is not None:
            return done
        with track(experiment, group, store.root.parent / "wandb") as tracker:
            result = make_result(experiment, store, tracker.on_metrics, _say)
            tracker.log_result(result)
        return result
    except Exception as error:  # the boundary of one experiment: the others go on
        return Failure(name, experiment.task.name, _cause(error))


def _cause(error: Exception) -> str:
    """The words for a failure's row; a fault of ours also prints where it happened."""
    if isinstance(error, JapagenError):
        return str(error)
    traceback.print_exception(error)
    return f"{type(error).__name__}: {error} (a fault of japagen's: its traceback stands above)"
