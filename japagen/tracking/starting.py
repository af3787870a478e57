"""How a run of W&B starts: online, offline where W&B can't be reached, or not at all where no run can be kept; each with one line.

Nothing that W&B raises leaves this module: an experiment has cost an LLM's work by then, and W&B only watches it.
"""

import logging
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from japagen.experiment import Experiment, Say
from japagen.tracking.describing import run_name, tags_of, tracked_config, without_paths
from japagen.tracking.login import is_agents_run, is_logged_in, wandb_settings
from japagen.tracking.offline import upload_line
from japagen.tracking.outage import LONG_S, find_outage, note_outage

Start = Callable[[str], Any]
"""Mode -> a run."""


def set_folders(folder: Path) -> None:
    """Tells W&B, before it reads its settings, to keep beside the runs what it else keeps in the home folder."""
    os.environ.setdefault("WANDB_DATA_DIR", str(folder))  # what waits to be uploaded; a home folder's quota may be small
    home = _home()
    if home is None:
        os.environ.setdefault("WANDB_CONFIG_DIR", str(folder / "config"))
    if home is None or not os.access(home, os.W_OK):
        os.environ.setdefault("WANDB_CACHE_DIR", str(folder / "cache"))


def _home() -> Path | None:
    try:
        return Path.home()
    except RuntimeError:  # HOME is not set, and the machine doesn't know the user's id
        return None


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
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


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


def end_service() -> None:
    """Ends W&B's service, in whatever state: a start that failed holds its run's id in it, and one that died serves nobody."""
    import wandb

    with suppress(Exception, SystemExit):  # it exits with its service's code, or says that the service is gone
        wandb.teardown()


def _init(experiment: Experiment, group: str, folder: Path, mode: str) -> Any:
    import wandb

    # meta would be this machine's name, its user, paths and the command line; system metrics are on
    settings = wandb.Settings(silent=True, console="off", disable_git=True, disable_code=True, x_disable_meta=True, host="")
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
        return "; ".join(f"setting {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in refused())
    return str(error).strip().partition("\n")[0] or type(error).__name__


@cache
def say_once(say: Say, line: str) -> None:
    """One line a process, not one a student."""
    say(line)
