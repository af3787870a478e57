"""What SLURM is making for this store right now: artifact key -> job, so that two sweeps, or two clients, never submit it twice.

One small JSON file in the store, changed only under the store's lock. Entries of jobs that have left the queue are dropped.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from japagen.errors import ConfigError
from japagen.squeue import queue_states
from japagen.store.files import explain_os_errors, read_json, write_whole_json
from japagen.store.store import Store
from launch.console import say


class Inflight:
    """The entries while the lock is held: key -> {job, log, sweep, unit}, whose state the sweep's folder keeps."""

    def __init__(self, path: Path, entries: dict[str, dict[str, str]]) -> None:
        self._path, self.entries = path, entries

    def maker(self, keys: Sequence[str]) -> dict[str, str] | None:
        """The job that makes all that `keys` name; None where there is none, or several share the work."""
        found = [self.entries.get(key) for key in keys]
        return found[0] if found and all(entry == found[0] for entry in found) else None

    def note(self, entries: Mapping[str, Mapping[str, str]]) -> None:
        """Keeps at once what makes which keys from now on: this process may die any moment."""
        self.entries |= {key: dict(entry) for key, entry in entries.items()}
        with explain_os_errors(self._path):
            write_whole_json(self._path, self.entries)


@contextmanager
def inflight(store: Store) -> Iterator[Inflight]:
    """Entries whose jobs are in the queue."""
    path = store.root / "inflight.json"
    with store.lock("sweep", "inflight", say):
        known: dict[str, dict[str, str]] = read_json(path) if path.is_file() else {}
        queued = queue_states({entry["job"] for entry in known.values()})
        if queued is None:
            raise ConfigError("SLURM can't be asked (squeue gave no answer), so nothing was submitted; is this a login node?")
        yield Inflight(path, {key: entry for key, entry in known.items() if entry["job"] in queued})
