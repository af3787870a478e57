"""Where commands print: plain, and wide enough for tables where no terminal says how wide it is; and how they word sizes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

PLAIN_WIDTH = 130


def make_console() -> Console:
    """Standard output; colours on a terminal only."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PLAIN_WIDTH
    return console


@contextmanager
def working(what: str) -> Iterator[None]:
    """Says what is being done while it is: on standard error, and on a terminal only. Nothing else may print meanwhile."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(Text(what), spinner="line"):
        yield


def size(num_bytes: int | None) -> str:
    """'16.4 GB' (of 10^9 bytes, as the hub counts)."""
    if num_bytes is None:
        return "size unknown"
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if num_bytes >= factor:
            return f"{num_bytes / factor:.1f} {unit}"
    return f"{num_bytes} bytes"
