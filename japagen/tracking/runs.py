"""A run of W&B around one experiment: started, fed with curves, scores, tables and artifacts, ended.

The run's id comes from the result's key, so one that was interrupted goes on under the same id; under `wandb agent` it is the agent's,
whose sweep looks for it. What W&B can't take is said in a line and never stops an experiment.
"""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from japagen.experiment import Experiment, Say
from japagen.results import OnMetrics, Result
from japagen.store import Store
from japagen.tasks import Task
from japagen.tracking.artifacts import dataset_artifact, model_artifact, why_kept_here
from japagen.tracking.describing import run_name, tags_of, tracked_config, without_paths
from japagen.tracking.login import is_agents_run, is_logged_in, wandb_mode
from japagen.tracking.offline import set_aside_interrupted, upload_line
from japagen.tracking.tables import (
    Rows,
    confusion,
    curve_table,
    label_table,
    prediction_table,
    read_predictions,
    score_table,
)


class Tracker:
    """One experiment's run; without W&B all calls do nothing."""

    def __init__(self, run: Any, say: Say = print) -> None:
        self._run, self._say = run, say

    @property
    def on_metrics(self) -> OnMetrics | None:
        """Takes training curves, or None where nobody listens."""
        return None if self._run is None else (lambda metrics, step: self._run.log(metrics, step=step))

    def log_result(self, result: Result) -> None:
        """The final scores, baselines and costs, in the run's summary."""
        if self._run is None:
            return
        scored = {result.split: result.metrics} | {split: found["metrics"] for split, found in result.also_scored.items()}
        scores: dict[str, Any] = {} if result.primary is None else {"gold/primary": result.primary["value"]}
        for split, metrics in scored.items():
            where = f"gold/{split}"  # beside the curves' valid/…, which are synthetic validation rows
            for name, score in metrics.items():
                if score is not None:
                    scores |= {f"{where}/{name}": score["value"], f"{where}/{name}_interval": [score["low"], score["high"]]}
        self._run.summary.update(scores)
        if is_agents_run():  # a sweep's search reads what was logged
            self._run.log({name: value for name, value in scores.items() if isinstance(value, float)})
        for baseline, reached in result.baselines.items():
            value = reached.get(result.metric)
            if value is not None:
                self._run.summary[f"baseline/{baseline}"] = value["value"]
        self._run.summary.update({"seconds": result.seconds, "tokens": result.tokens, "num_eval": result.num_eval, "demo": result.demo})

    def log_tables(self, task: Task, result: Result, store: Store) -> None:
        """Scores, scores by label, confusion matrix, predictions by id, and the whole training curve."""
        if self._run is not None:
            self._attempt("tables", lambda: self._run.log(_tables(task, result, store.path("result", result.keys["result"]))))

    def log_artifacts(self, experiment: Experiment, store: Store) -> None:
        """The data set as what the run used and the student as what it made, as `logger.upload` says."""
        upload = experiment.config.logger.upload
        if self._run is None or upload == "none":
            return
        policy = "mutable" if self._run.offline else "immutable"  # offline the store's files may be gone when they are uploaded
        if store.find("dataset", experiment.keys.get("dataset", "none")) is not None:
            if (reason := why_kept_here(experiment)) is None:
                self._attempt("data set", lambda: self._use(dataset_artifact(experiment, store, policy)))
            else:
                key = experiment.keys["dataset"]
                self._say(f"W&B: data set {key} is not sent, because {reason}; logger.upload_texts=true sends it all the same")
        if upload == "all" and store.find("model", experiment.keys.get("model", "none")) is not None:
            self._attempt("model", lambda: self._run.log_artifact(model_artifact(experiment, store, policy)))

    def _use(self, artifact: Any) -> None:
        """`use_artifact` of a new artifact, which refuses offline (wandb 0.31) although `wandb sync` can do it, and waits online."""
        self._run._log_artifact(artifact, is_user_created=True, use_after_commit=True)

    def _attempt(self, what: str, send: Callable[[], Any]) -> None:
        """Sends something of a result that stands: a fault of W&B's is said, and changes nothing else."""
        try:
            send()
        except Exception as error:
            self._say(f"W&B: {what} not sent ({_first_line(error)}); everything is in the store")


def _tables(task: Task, result: Result, folder: Path) -> dict[str, Any]:
    """{key: what W&B shows}, without empty ones."""
    import wandb

    predicted = read_predictions(result, folder)
    tables = {"scores": score_table(result), "predictions": prediction_table(task, predicted), "curve": curve_table(result)}
    if not task.is_regression:
        tables["labels"] = label_table(task, predicted)
    shown: dict[str, Any] = {f"table/{name}": _table(rows) for name, rows in tables.items() if rows.rows}
    for one in predicted if not task.is_regression else ():
        shown[f"confusion/{one.split}"] = wandb.plot.confusion_matrix(**confusion(task, one))
    return shown


def _table(rows: Rows) -> Any:
    import wandb

    return wandb.Table(columns=rows.columns, data=rows.rows)


@contextmanager
def track(experiment: Experiment, group: str, folder: Path, say: Say = print) -> Iterator[Tracker]:
    """A W&B run around one experiment's student; `folder` takes offline runs, `say` the line that tells of them."""
    mode = wandb_mode(experiment.config.logger.wandb)
    if mode == "off":
        yield Tracker(None)
        return
    run = _start(experiment, group, folder, mode, say)
    try:
        yield Tracker(run, say)
    except BaseException:
        run.finish(exit_code=1)
        raise
    run.finish()
    if run.offline:
        set_aside_interrupted(folder, Path(run.dir).parent)


def _start(experiment: Experiment, group: str, folder: Path, mode: str, say: Say) -> Any:
    """The run, offline also where W&B can't be reached or takes no key."""
    import wandb

    logging.getLogger("wandb").setLevel(logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("WANDB_DATA_DIR", str(folder))  # what waits to be uploaded; else in the home folder, whose quota may be small
    # meta would be this machine's name, its user, paths and the command line; system metrics are on
    settings = wandb.Settings(silent=True, console="off", disable_git=True, disable_code=True, x_disable_meta=True, host="")

    def start(mode: str) -> Any:
        return wandb.init(
            mode="online" if mode == "online" else "offline", dir=folder, group=group, tags=tags_of(experiment),
            name=without_paths(run_name(experiment), experiment), config=tracked_config(experiment), settings=settings,
            **_identity(experiment, mode),
        )  # fmt: skip

    cause = "offline is set" if is_logged_in() else "not logged in"
    if mode == "online":
        try:
            return start("online")
        except wandb.Error as error:
            cause = _first_line(error)
    _say_once(say, f"W&B: {cause}, so runs stay in {folder}; nothing else needs it. To upload them: {upload_line(folder)}")
    return start("offline")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


@cache
def _say_once(say: Say, line: str) -> None:
    """One line a process, not one a student."""
    say(line)


def _identity(experiment: Experiment, mode: str) -> dict[str, Any]:
    """Which run of which project; nothing under an agent, whose environment says it (W&B refuses anything else)."""
    if is_agents_run():
        return {}
    logger = experiment.config.logger
    resume = "allow" if mode == "online" else None
    return {"project": logger.project, "entity": logger.entity, "id": experiment.keys["result"], "resume": resume}


def log_found(experiment: Experiment, result: Result, group: str, folder: Path) -> None:
    """Gives an agent's sweep the scores of a result that the store had already; does nothing elsewhere, where it was logged before."""
    if is_agents_run():
        with track(experiment, group, folder) as tracker:
            tracker.log_result(result)
