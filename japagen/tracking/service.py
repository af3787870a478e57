"""W&B's parts that outlive a run: the environment that it reads, its settings and its service process."""

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import wandb

FINISH_S = 600
"""So long a run's end may upload; W&B itself would wait for ever where the network went away."""


def set_environment(folder: Path) -> None:
    """Tells W&B, before it reads its settings, to keep beside the runs what it else keeps in the home folder, and to wait for no end."""
    os.environ.setdefault("WANDB_FINISH_TIMEOUT", str(FINISH_S))
    os.environ.setdefault("WANDB_DATA_DIR", str(folder))  # what waits to be uploaded; a home folder's quota may be small
    try:
        home = Path.home()
    except RuntimeError:  # HOME is not set, and the machine doesn't know the user's id
        home = folder / "home"
        os.environ["HOME"] = str(home)  # W&B asks for a home folder in more cases than it has settings for
    if home.is_dir() and not os.access(home, os.W_OK):
        os.environ.setdefault("WANDB_CACHE_DIR", str(folder / "cache"))


def wandb_settings() -> "wandb.Settings | None":
    """W&B's settings, from its files and the environment; None where it refuses one: the start of a run reports which."""
    from wandb.sdk import wandb_setup

    try:
        return wandb_setup.singleton().settings  # `wandb.setup()` would start the service
    except Exception:
        end_service()  # W&B would go on with those that it read before, and send to another server than the user's
        return None


def end_service() -> None:
    """Ends W&B's service, in whatever state: a start that failed holds its run's id in it, and one that died serves nobody."""
    import wandb

    with suppress(Exception, SystemExit):  # it exits with its service's code, or says that the service is gone
        wandb.teardown()
