"""A run of W&B around one experiment: started, fed with curves, scores, tables and artifacts, ended.

The run's id comes from the result's key, so one that was interrupted goes on under the same id; under `wandb agent` it is the agent's,
whose sweep looks for it. A fault of W&B's is reported in a line and never stops an experiment.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from japagen.evaluation.confusions import MANY_LABELS
from japagen.experiments.experiment import Experiment, Say
from japagen.experiments.result import Result
from japagen.experiments.scoring import OnMetrics
from japagen.store.store import Store
from japagen.tasks import Task
from japagen.tracking.artifacts import dataset_artifact, model_artifact, why_kept_here
from japagen.tracking.login import is_agents_run, wandb_mode
from japagen.tracking.offline import set_aside_interrupted
from japagen.tracking.service import end_service, set_environment
from japagen.tracking.starting import first_line, start_run
from japagen.tracking.tables import (
    Rows,
    confused_table,
    confusion,
    curve_table,
    label_table,
    prediction_table,
    read_predictions,
    score_table,
)


class Tracker:
    """One experiment's run; without W&B all calls do nothing, and none raises what W&B raises."""

    def __init__(self, run: Any, say: Say = print) -> None:
        self._run, self._say = run, say
        self._failed: set[str] = set()

    @property
    def on_metrics(self) -> OnMetrics | None:
        """Takes training curves, or None where nobody listens."""
        return None if self._run is None else self._log_curves

    def _log_curves(self, metrics: dict[str, float], step: int) -> None:
        self._attempt("curves not sent", lambda: self._run.log(metrics, step=step))

    def log_result(self, result: Result) -> None:
        """The final scores, baselines and costs, in the run's summary."""
        if self._run is not None:
            self._attempt("scores not sent", lambda: self._log_result(result))

    def _log_result(self, result: Result) -> None:
        scores = _scores_of(result)
        self._run.summary.update(scores)
        if is_agents_run():  # a sweep's search reads what was logged
            self._run.log({name: value for name, value in scores.items() if isinstance(value, float)})
        for baseline, reached in result.baselines.items():
            value = reached.get(result.metric)
            if value is not None:
                self._run.summary[f"baseline/{baseline}"] = value["value"]
        self._run.summary.update({"seconds": result.seconds, "tokens": result.tokens, "num_eval": result.num_eval, "demo": result.demo})
        self._run.summary.update({"num_clusters": result.num_clusters, "seeds": result.seeds, "draw": result.draw})

    def log_tables(self, task: Task, result: Result, store: Store) -> None:
        """Scores, scores by label, confusion matrix, predictions by id, and the whole training curve."""
        if self._run is not None:
            self._attempt("tables not sent", lambda: self._run.log(_tables(task, result, store.path("result", result.keys["result"]))))

    def log_artifacts(self, experiment: Experiment, store: Store) -> None:
        """Uploads the data set as the run's input and the student as its output, by `logger.upload`."""
        upload = experiment.config.logger.upload
        if self._run is None or upload == "none":
            return
        policy = "mutable" if self._run.offline else "immutable"  # offline the store's files may be gone when they are uploaded
        if store.find("dataset", experiment.keys.get("dataset", "none")) is not None:
            if (reason := why_kept_here(experiment)) is None:
                self._attempt("data set not sent", lambda: self._use(dataset_artifact(experiment, store, policy)))
            else:
                key = experiment.keys["dataset"]
                self._say(f"W&B: data set {key} is not sent, because {reason}; logger.upload_texts=true sends it all the same")
        if upload == "all" and store.find("model", experiment.keys.get("model", "none")) is not None:
            self._attempt("model not sent", lambda: self._run.log_artifact(model_artifact(experiment, store, policy)))

    def _use(self, artifact: Any) -> None:
        """`use_artifact` of a new artifact, which refuses offline (wandb 0.31) although `wandb sync` can do it, and waits online."""
        self._run._log_artifact(artifact, is_user_created=True, use_after_commit=True)

    def finish(self, exit_code: int = 0) -> None:
        """Ends the run; where W&B's service can't do that, it ends too, and the next run has a new one."""
        if self._run is not None and not self._attempt("run not ended", lambda: self._run.finish(exit_code=exit_code)):
            end_service()

    def set_aside_interrupted(self, folder: Path) -> None:
        """Earlier starts of an offline run make room for it, which has finished."""
        if self._run is not None and self._run.offline:
            self._attempt("earlier starts not set aside", lambda: set_aside_interrupted(folder, Path(self._run.dir).parent))

    def _attempt(self, failure: str, send: Callable[[], Any]) -> bool:
        """Whether W&B took it; a fault of W&B's is reported once a run, and changes nothing else."""
        try:
            send()
        except Exception as error:
            if failure not in self._failed:
                self._say(f"W&B: {failure} ({first_line(error)}); everything is in the store")
            self._failed.add(failure)
            return False
        return True


def _scores_of(result: Result) -> dict[str, Any]:
    """W&B's name -> the primary score, and every score of every split with its interval."""
    scores: dict[str, Any] = {} if result.primary is None else {"gold/primary": result.primary["value"]}
    for split in result.splits:
        where = f"gold/{split.name}"  # beside the curves' valid/…, which are synthetic validation rows
        for name, score in split.metrics.items():
            if score is not None:
                scores |= {f"{where}/{name}": score["value"], f"{where}/{name}_interval": [score["low"], score["high"]]}
    return scores


def _tables(task: Task, result: Result, folder: Path) -> dict[str, Any]:
    """{key: what W&B shows}, without empty ones."""
    import wandb

    predicted = read_predictions(result, folder)
    tables = {"scores": score_table(result), "predictions": prediction_table(task, predicted), "curve": curve_table(result)}
    if not task.is_regression:
        tables["labels"] = label_table(task, predicted)
    is_drawn = not task.is_regression and len(task.labels) <= MANY_LABELS
    if not task.is_regression and not is_drawn:
        tables["confused"] = confused_table(predicted)
    shown: dict[str, Any] = {f"table/{name}": _table(rows) for name, rows in tables.items() if rows.rows}
    for scored in predicted if is_drawn else ():
        shown[f"confusion/{scored.split}"] = wandb.plot.confusion_matrix(**confusion(task, scored))
    return shown


def _table(rows: Rows) -> Any:
    import wandb

    return wandb.Table(columns=rows.columns, data=rows.rows)


@contextmanager
def track(experiment: Experiment, group: str, folder: Path, say: Say = print) -> Iterator[Tracker]:
    """A W&B run around one experiment's student; `folder` takes offline runs, `say` the line that reports them."""
    tracker = Tracker(_start(experiment, group, folder, say), say)
    try:
        yield tracker
    except BaseException:
        tracker.finish(exit_code=1)
        raise
    tracker.finish()
    tracker.set_aside_interrupted(folder)


def _start(experiment: Experiment, group: str, folder: Path, say: Say) -> Any:
    """The run, or None: without W&B."""
    setting = experiment.config.logger.wandb
    if setting == "off":
        return None
    set_environment(folder)
    mode = wandb_mode(setting)
    return None if mode == "off" else start_run(experiment, group, folder, mode, say)


def log_found(experiment: Experiment, result: Result, group: str, folder: Path) -> None:
    """Gives an agent's sweep the scores of a result that the store had already; does nothing elsewhere, where it was logged before."""
    if is_agents_run():
        with track(experiment, group, folder) as tracker:
            tracker.log_result(result)
