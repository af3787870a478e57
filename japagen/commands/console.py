"""Where commands print: plain, and wide enough for tables where no terminal says how wide it is."""

import os

from rich.console import Console

PLAIN_WIDTH = 130


def make_console() -> Console:
    """Standard output; colours on a terminal only."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PLAIN_WIDTH
    return console
