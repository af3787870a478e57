"""Whether runs go online: the settings, W&B's own settings, and whether W&B finds a key. The key itself is W&B's business.

W&B is asked instead of its files, because its server's name, and with it the machine's in a netrc file, differs between its versions.
"""

import os

from japagen.tracking.service import wandb_settings

_WITHOUT_SERVER = {"offline": "offline", "dryrun": "offline", "disabled": "off"}
"""W&B's mode -> the value of `logger.wandb`."""


def wandb_mode(setting: str) -> str:
    """online, offline or off for `logger.wandb`; auto follows W&B's own settings, else online where it finds a key."""
    if setting != "auto":
        return setting
    set_by_user = os.environ.get("WANDB_MODE")
    found = wandb_settings()
    mode = set_by_user or ("offline" if found is None else found.mode)
    if mode in _WITHOUT_SERVER:
        return _WITHOUT_SERVER[mode]
    return "online" if set_by_user == "online" or is_logged_in() else "offline"


def is_logged_in() -> bool:
    """Whether W&B finds a key for its server: in the environment, a netrc file or its settings; nobody is asked for one."""
    from wandb.errors import AuthenticationError
    from wandb.sdk.lib import wbauth

    if (found := wandb_settings()) is None:
        return False
    try:
        return wbauth.authenticate_session(host=found.base_url, source="japagen", prompt=False, update_session=False) is not None
    except AuthenticationError:  # there is one, of another form: the start of a run says so
        return True
    except Exception:  # no home folder, so no netrc file
        return False


def is_agents_run() -> bool:
    """Whether `wandb agent` started this process for a run of its sweep."""
    return bool(os.environ.get("WANDB_SWEEP_ID") and os.environ.get("WANDB_RUN_ID"))
