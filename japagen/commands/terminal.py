"""Where commands print: plain, and wide enough for tables where no terminal says how wide it is; and how they word sizes."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.filesize import decimal
from rich.text import Text

from japagen.errors import StoreError
from japagen.store.store import Store

PLAIN_WIDTH = 130


def make_console() -> Console:
    """Standard output; colours on a terminal only."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PLAIN_WIDTH
    return console


@contextmanager
def working(what: str) -> Iterator[None]:
    """Shows what is being done while it is: on standard error, and on a terminal only. Nothing else may print meanwhile."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(Text(what), spinner="line"):
        yield


def size(num_bytes: int | None) -> str:
    """'16.4 GB' (of 10^9 bytes, as the hub counts)."""
    return "size unknown" if num_bytes is None else decimal(num_bytes)


DEFAULT = "outputs/store"


def add_store_option(parser: argparse.ArgumentParser) -> None:
    """Adds --store DIR."""
    parser.add_argument("--store", metavar="DIR", help=f"where everything made is kept (default: JAPAGEN_STORE, or {DEFAULT})")


def open_store(directory: str | None) -> Store:
    """The store named, or the default; StoreError where there is none."""
    store = Store(directory or os.environ.get("JAPAGEN_STORE") or DEFAULT)
    if not store.root.is_dir():
        raise StoreError(f"there is no store {store.root}; name it by --store DIR or JAPAGEN_STORE")
    return store


def make_parser(command: str, about: str | None, *examples: str) -> argparse.ArgumentParser:
    """A parser for `japagen COMMAND`. examples: what follows the command, with `   # what for` where that needs saying."""
    lines = "\n".join(f"  japagen {command} {example}".rstrip() for example in examples)
    return argparse.ArgumentParser(
        f"japagen {command}",
        description=about,
        epilog=f"{'examples' if len(examples) > 1 else 'example'}:\n{lines}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
