"""Weights & Biases: one run per experiment, grouped by sweep. Optional everywhere.

Online when logged in, else offline, unless `logger.wandb` says otherwise. The run's id comes from the result's key, so a
run that was interrupted goes on under the same id; under `wandb agent` it is the agent's, whose sweep looks for it.
Texts are never sent: config without exemplars, curves and scores.
"""

import logging
import netrc
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from japagen.experiment import Experiment
from japagen.results import OnMetrics, Result, short_name

_HOST = "api.wandb.ai"


def wandb_mode(setting: str) -> str:
    """online, offline or off for `logger.wandb`; auto is online when a key is at hand, else offline."""
    if setting != "auto":
        return setting
    if os.environ.get("WANDB_MODE") in ("offline", "online", "disabled"):
        return {"disabled": "off"}.get(os.environ["WANDB_MODE"], os.environ["WANDB_MODE"])
    return "online" if _is_logged_in() else "offline"


def _is_logged_in() -> bool:
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "")).hostname or _HOST
    try:
        return netrc.netrc().authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def is_agents_run() -> bool:
    """Whether `wandb agent` started this process for a run of its sweep."""
    return bool(os.environ.get("WANDB_SWEEP_ID") and os.environ.get("WANDB_RUN_ID"))


class Tracker:
    """One experiment's run; without W&B all calls do nothing."""

    def __init__(self, run: Any) -> None:
        self._run = run

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


@contextmanager
def track(experiment: Experiment, group: str, folder: Path) -> Iterator[Tracker]:
    """A W&B run around one experiment's student; `folder` takes offline runs."""
    logger = experiment.config.logger
    mode = wandb_mode(logger.wandb)
    if mode == "off":
        yield Tracker(None)
        return
    import wandb

    logging.getLogger("wandb").setLevel(logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    run = wandb.init(
        mode="online" if mode == "online" else "offline", dir=folder, group=group, name=run_name(experiment), tags=_tags(experiment),
        config=_tracked_config(experiment), settings=wandb.Settings(silent=True, console="off", disable_git=True, disable_code=True),
        **_identity(experiment, mode),
    )  # fmt: skip
    try:
        yield Tracker(run)
    except BaseException:
        run.finish(exit_code=1)
        raise
    run.finish()


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


def sync_command(folder: Path) -> str | None:
    """The line that uploads the offline runs below `folder` (the one that `track` takes); None where there are none left to upload.

    W&B writes `NAME.wandb.synced` beside a run that it has uploaded, and skips it from then on.
    """
    runs = [run for run in folder.glob("wandb/offline-run-*") if not list(run.glob("*.synced"))]
    if not runs:
        return None
    program = Path(sys.executable).with_name("wandb")
    return f"{shlex.quote(str(program)) if program.is_file() else 'wandb'} sync {shlex.quote(str(folder / 'wandb'))}/offline-run-*"


def run_name(experiment: Experiment) -> str:
    """Short and readable, as `short_name` has it."""
    config = experiment.config
    written_by = (config.llm.name, config.shots, config.prompt.name) if experiment.needs_llm else None
    gold_per_label = config.gold_per_label if experiment.learns_gold else None
    model = config.model.name if experiment.has_student else None
    return short_name(config.task.name, config.method.name, written_by, gold_per_label, model, config.seed, experiment.options)


def _tags(experiment: Experiment) -> list[str]:
    return [experiment.config.task.name, experiment.config.method.name, *(["demo"] if experiment.is_demo else [])]


def _tracked_config(experiment: Experiment) -> dict[str, Any]:
    """The configuration without what belongs to this machine, and all keys."""
    config = asdict(experiment.config)
    for running in ("store", "logger"):
        del config[running]
    for llm in ("llm", "judge"):
        for running in ("base_url", "api_key_env", "server") if config[llm] is not None else ():
            del config[llm][running]
    for running in ("cache", "mirror", "train_file", "eval_file", "unlabelled_file"):
        del config["data"][running]
    del config["prompt"]["personas"]
    return config | {"keys": experiment.keys, "protocol": experiment.protocol}
