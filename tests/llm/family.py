"""The processes that belong to servers of ours, among all that this process may have started (W&B's, a browser)."""

import psutil


def keepers() -> list[psutil.Process]:
    """Those whose parent we are."""
    return [child for child in psutil.Process().children() if any(part.endswith("keeper.py") for part in child.cmdline())]


def family() -> list[psutil.Process]:
    """Keepers, servers, and what these have started."""
    return [process for keeper in keepers() for process in (keeper, *keeper.children(recursive=True))]
