"""Weights & Biases: one run per experiment, grouped by sweep. Optional everywhere.

Online when logged in, else offline, unless `logger.wandb` says otherwise. The run's id comes from the result's key, so a
run that was interrupted goes on under the same id. Texts are never sent: config without exemplars, curves and scores.
"""

import logging
import netrc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from japagen.methods import Experiment
from japagen.results import OnMetrics, Result

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
        for split, metrics in scored.items():
            where = f"gold/{split}"  # beside the curves' valid/…, which are synthetic validation rows
            for name, score in metrics.items():
                if score is not None:
                    self._run.summary.update({f"{where}/{name}": score["value"], f"{where}/{name}_interval": [score["low"], score["high"]]})
        for baseline, scores in result.baselines.items():
            value = scores.get(result.metric)
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
        project=logger.project, entity=logger.entity, group=group, mode="online" if mode == "online" else "offline", dir=folder,
        id=experiment.keys["result"], resume="allow" if mode == "online" else None, name=run_name(experiment), tags=_tags(experiment),
        config=_tracked_config(experiment), settings=wandb.Settings(silent=True, console="off", disable_git=True, disable_code=True),
    )  # fmt: skip
    try:
        yield Tracker(run)
    except BaseException:
        run.finish(exit_code=1)
        raise
    run.finish()


def run_name(experiment: Experiment) -> str:
    """Short and readable: task, method, shots, prompt where it isn't base, LLM, encoder, seed."""
    config = experiment.config
    prompt = [] if config.prompt.name == "base" else [config.prompt.name]
    made_by = [f"{config.shots}-shot", *prompt, config.llm.name] if experiment.needs_llm else [f"gold-{config.gold_per_label}"]
    return "-".join([config.task.name, config.method.name, *made_by, config.model.name, f"seed{config.seed}"])


def _tags(experiment: Experiment) -> list[str]:
    return [experiment.config.task.name, experiment.config.method.name, *(["demo"] if experiment.is_demo else [])]


def _tracked_config(experiment: Experiment) -> dict[str, Any]:
    """The configuration without what belongs to this machine, and all keys."""
    config = asdict(experiment.config)
    for running in ("store", "logger"):
        del config[running]
    for running in ("base_url", "api_key_env", "server"):
        del config["llm"][running]
    for running in ("cache", "mirror", "train_file", "eval_file"):
        del config["data"][running]
    return config | {"keys": experiment.keys, "protocol": experiment.protocol}
