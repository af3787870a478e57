"""Whether runs go online: what the settings say, and whether a key is at hand. The key itself is W&B's business."""

import netrc
import os
from urllib.parse import urlsplit

_HOST = "api.wandb.ai"


def wandb_mode(setting: str) -> str:
    """online, offline or off for `logger.wandb`; auto is online when a key is at hand, else offline."""
    if setting != "auto":
        return setting
    if os.environ.get("WANDB_MODE") in ("offline", "online", "disabled"):
        return {"disabled": "off"}.get(os.environ["WANDB_MODE"], os.environ["WANDB_MODE"])
    return "online" if is_logged_in() else "offline"


def is_logged_in() -> bool:
    """Whether there is a key for W&B's server, in the environment or in ~/.netrc."""
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
