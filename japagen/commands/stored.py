"""The store that a command reads: --store DIR, else JAPAGEN_STORE, else outputs/store, as run.py has it."""

import argparse
import os

from japagen.errors import StoreError
from japagen.store.store import Store

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
