"""How a run of W&B starts: online, offline where W&B can't be reached, or not at all where no run can be kept; each with one line.

Nothing that W&B raises leaves this module: an experiment has cost an LLM's work by then, and W&B only watches it.
"""

import logging
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from japagen.experiments.experiment import Experiment, Say, run_name
from japagen.tracking.describing import tags_of, tracked_config, without_paths
from japagen.tracking.login import is_agents_run, is_logged_in
from japagen.tracking.offline import upload_line
from japagen.tracking.outage import LONG_S, find_outage, note_outage
from japagen.tracking.service import end_service, wandb_settings

Start = Callable[[str], Any]
"""Mode -> a run."""


def start_run(experiment: Experiment, group: str, folder: Path, mode: str, say: Say) -> Any:
    """The run, offline also where W&B can't be reached or takes no key; None, with a line, where W&B can't keep one either."""
    logging.getLogger("wandb").setLevel(logging.ERROR)

    def start(mode: str) -> Any:
        return _init(experiment, group, folder, mode)

    try:
        _check_writable(folder)
        cause = "offline is set" if is_logged_in() else "not logged in"
        if mode == "online":
            run, cause = _go_online(start, folder)
            if run is not None:
                return run
        run = start("offline")
    except Exception as error:
        end_service()
        say_once(say, f"W&B: {first_line(error)}, so no runs are kept; nothing else needs them")
        return None
    say_once(say, f"W&B: {cause}, so runs stay in {folder}; nothing else needs it. To upload them: {upload_line(folder)}")
    return run


def _check_writable(folder: Path) -> None:
    """Raises OSError where nothing can be written: W&B itself would put the run into the folder of temporary files, and say nothing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OSError(f"{folder} can't be written ({error.strerror})") from error


def _go_online(start: Start, folder: Path) -> tuple[Any, str]:
    """(the run, "") or (None, why there is none); a server that gave no answer is noted, and not waited for while the note holds."""
    server, timeout_s = _server()
    if (known := find_outage(folder, server)) is not None:
        return None, known.describe(folder)
    started = time.monotonic()
    try:
        return start("online"), ""
    except Exception as error:
        waited_s, cause = time.monotonic() - started, first_line(error)
        end_service()
        if waited_s >= min(timeout_s, LONG_S):
            cause = note_outage(folder, server, cause).describe(folder)
        return None, cause


def _server() -> tuple[str, float]:
    """W&B's server, and how many seconds it has for its answer (WANDB_INIT_TIMEOUT)."""
    settings = wandb_settings()
    return ("", LONG_S) if settings is None else (settings.base_url, settings.init_timeout)


def _init(experiment: Experiment, group: str, folder: Path, mode: str) -> Any:
    import wandb

    # meta would be this machine's name, its user, paths and the command line; system metrics are on
    settings = wandb.Settings(silent=True, console="off", disable_git=True, disable_code=True, x_disable_meta=True, host="")
    settings.finish_timeout_raises = True
    return wandb.init(
        mode="online" if mode == "online" else "offline", dir=folder, group=group, tags=tags_of(experiment),
        name=without_paths(run_name(experiment), experiment), config=tracked_config(experiment), settings=settings,
        **_identity(experiment, mode),
    )  # fmt: skip


def _identity(experiment: Experiment, mode: str) -> dict[str, Any]:
    """Which run of which project; nothing under an agent, whose environment says it (W&B refuses anything else)."""
    if is_agents_run():
        return {}
    logger = experiment.config.logger
    resume = "allow" if mode == "online" else None
    return {"project": logger.project, "entity": logger.entity, "id": experiment.keys["result"], "resume": resume}


def first_line(error: Exception) -> str:
    """The error in one line; of settings that W&B refuses, which they are and why."""
    if callable(refused := getattr(error, "errors", None)):  # pydantic's ValidationError
        return "; ".join(f"setting {'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in refused())
    return str(error).strip().partition("\n")[0] or type(error).__name__


@cache
def say_once(say: Say, line: str) -> None:
    """One line a process, not one a student."""
    say(line)
