"""What SLURM is making for this store right now: artifact key -> job, so that two sweeps, or two clients, never submit it twice.

One small JSON file in the store, changed only under the store's lock. Entries of jobs that have left the queue are dropped.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from japagen.errors import ConfigError
from japagen.store import Store, explain_os_errors, read_json
from launch.folder import write_whole
from launch.squeue import queue_states
from launch.work import say


class Inflight:
    """The entries while the lock is held."""

    def __init__(self, entries: dict[str, dict[str, str]]) -> None:
        self.entries = entries

    def job(self, key: str) -> str | None:
        """The job that is making the artifact with this key."""
        return self.entries.get(key, {}).get("job")

    def log(self, key: str) -> str:
        return self.entries.get(key, {}).get("log", "")

    def note(self, keys: list[str], job: Mapping[str, str]) -> None:
        """From now on `job` ({job, log}) makes what `keys` name."""
        self.entries |= {key: dict(job) for key in keys}


@contextmanager
def inflight(store: Store) -> Iterator[Inflight]:
    """Entries whose jobs are in the queue; what the block notes is kept, also when it raises."""
    path = store.root / "inflight.json"
    with store.lock("sweep", "inflight", say):
        known: dict[str, dict[str, str]] = read_json(path) if path.is_file() else {}
        queued = queue_states({entry["job"] for entry in known.values()})
        if queued is None:
            raise ConfigError("SLURM can't be asked (squeue gave no answer), so nothing was submitted; is this a login node?")
        found = Inflight({key: entry for key, entry in known.items() if entry["job"] in queued})
        try:
            yield found
        finally:
            with explain_os_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, found.entries)
