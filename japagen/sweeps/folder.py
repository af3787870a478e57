"""A sweep's folder in the store: its plan in plain JSON, and what each of its units has come to.

`<store>/sweeps/<name>/`: `plan.json` (units, experiments), `configs/<number>.json` (one experiment each, as composed on the client),
`units/<id>.json` (state, written by the unit's own process), `submitted.json` (SLURM job of each unit), `logs/`, and in the end
`results.csv`, `results.parquet` and `report.html`. A node needs nothing else to do a unit's work: no Hydra, no YAML that may have changed
since.
"""

import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from japagen.config.schema import Config
from japagen.config.validation import read_config
from japagen.errors import StoreError
from japagen.store.files import explain_os_errors, from_json, read_json, write_whole_json
from japagen.store.store import Store, commit


@dataclass(frozen=True)
class Sweep:
    """One sweep as its plan.json tells it."""

    name: str
    created: str
    """ISO 8601, UTC."""
    command: tuple[str, ...]
    """What was typed."""
    commit: str | None
    num_experiments: int


LLM, STUDENT = "llm", "student"
WRITER, JUDGE = "writer", "judge"
WAITING, RUNNING, DONE, FAILED, UNFINISHED = "waiting", "running", "done", "failed", "unfinished"
"""unfinished: interrupted (time limit, preemption) with all it made kept; the same command, or SLURM's requeue, goes on."""


@dataclass(frozen=True)
class Planned:
    """One experiment of a sweep, as the plan names it."""

    name: str
    task: str
    keys: dict[str, str]


@dataclass(frozen=True)
class Unit:
    """Work for one process: what one LLM does (or a shard of it), or one student (or the score of an LLM's answers)."""

    id: str
    """llm-0, llm-0-1 (second shard), judge-0, student-0007."""
    kind: str
    name: str
    experiments: tuple[int, ...]
    """Numbers of experiments: those whose data sets an LLM unit fills, or the one whose student is trained."""
    needs: tuple[str, ...] = ()
    """Units that must have ended before; whether they made what is needed is seen in the store."""
    gpus: int = 1
    role: str = WRITER
    """An LLM unit's: writer (all that `llm` does), or judge (what `judge` does, another LLM)."""
    shard: tuple[int, int] = (0, 1)
    """An LLM unit's: (number, of how many) that share its work."""


@dataclass(frozen=True)
class State:
    """What a unit has come to; times are seconds since the epoch."""

    state: str = WAITING
    cause: str = ""
    """Why it failed or stopped, in one line."""
    host: str = ""
    pid: int = 0
    slurm_job: str | None = None
    started: float | None = None
    updated: float | None = None
    ended: float | None = None
    attempts: int = 0
    """Starts so far: more than one after a requeue, or after the same command again."""
    log: str = ""
    progress: dict[str, dict[str, float]] = field(default_factory=dict)
    """Stream's name -> the fields of `synthesis.generate.StreamProgress`."""
    faults: dict[str, str] = field(default_factory=dict)
    """LLM units: data set key -> why it couldn't be filled."""


class SweepFolder:
    """Reads and writes one sweep's folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._plan: tuple[tuple[int, ...], dict[str, Any]] | None = None
        """What tells the plan's file from later ones, and its content."""

    @classmethod
    def create(
        cls, store: Store, name: str, configs: Sequence[Config], planned: Sequence[Planned], units: Sequence[Unit], output_dir: str = ""
    ) -> "SweepFolder":
        """Writes the plan; the folder of an earlier start of the same sweep is written anew, its units' states stay.

        `output_dir`: the absolute path of Hydra's folder, by which `launch.naming` knows the sweep again.
        """
        folder = cls(store.root / "sweeps" / name)
        with explain_os_errors(folder.root):
            for part in ("configs", "units", "logs"):
                (folder.root / part).mkdir(parents=True, exist_ok=True)
            for number, config in enumerate(configs):
                write_whole_json(folder.root / "configs" / f"{number:05d}.json", asdict(config))
            plan = {
                "name": name,
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "command": sys.argv,
                "output_dir": output_dir,
                "store": str(store.root),
                "commit": commit(),
                "experiments": [asdict(experiment) for experiment in planned],
                "units": [asdict(unit) for unit in units],
            }
            write_whole_json(folder.root / "plan.json", plan)
        return folder

    @property
    def name(self) -> str:
        return self.root.name

    @property
    def page(self) -> Path:
        """The path of its report page."""
        return self.root / "report.html"

    def sweep(self) -> Sweep:
        """What its plan tells of it; KeyError or TypeError where the plan is of another version."""
        plan = self.plan()
        return Sweep(self.name, plan["created"], tuple(plan["command"]), plan.get("commit"), len(plan["experiments"]))

    def plan(self) -> dict[str, Any]:
        """plan.json as it is, parsed again only when the file has changed; StoreError when it can't be read."""
        path = self.root / "plan.json"
        stat = path.stat() if path.is_file() else None
        version = () if stat is None else (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if self._plan is None or self._plan[0] != version:
            self._plan = version, read_json(path)
        return self._plan[1]

    def units(self) -> list[Unit]:
        return [Unit(**{name: _as_tuple(value) for name, value in entry.items()}) for entry in self.plan()["units"]]

    def experiments(self) -> list[Planned]:
        return [Planned(**entry) for entry in self.plan()["experiments"]]

    def config(self, number: int) -> Config:
        """One experiment's configuration, checked again."""
        return read_config(read_json(self.root / "configs" / f"{number:05d}.json"))

    def state(self, unit: str) -> State:
        """The unit's state, `waiting` before it first runs; where another sweep's job does it, what that sweep's folder says."""
        return self._own_state(unit) or self._followed(self.submitted().get(unit, {})) or State()

    def states(self) -> dict[str, State]:
        """The state of every unit that has ever run."""
        followed = {unit: state for unit, entry in self.submitted().items() if (state := self._followed(entry)) is not None}
        names = [path.stem for path in sorted((self.root / "units").glob("*.json"))]
        return followed | {name: state for name in names if (state := self._own_state(name)) is not None}

    def _own_state(self, unit: str) -> State | None:
        try:
            return from_json(State, read_json(self.root / "units" / f"{unit}.json"))
        except (StoreError, TypeError):
            return None

    def _followed(self, entry: Mapping[str, str]) -> State | None:
        """The state of a unit that another sweep's job was doing when this one was submitted."""
        if entry.get("sweep", self.name) == self.name:
            return None
        return SweepFolder(self.root.parent / entry["sweep"])._own_state(entry["unit"])

    def write_state(self, unit: str, state: State) -> State:
        """Keeps `state` with the present time; returns it."""
        state = replace(state, updated=time.time())
        with explain_os_errors(self.root):
            write_whole_json(self.root / "units" / f"{unit}.json", asdict(state))
        return state

    def end(self, unit: str, state: str, cause: str) -> State:
        """Says what became of a unit whose own process can't say it any more."""
        return self.write_state(unit, replace(self.state(unit), state=state, cause=cause, ended=time.time()))

    def log(self, unit: str) -> Path:
        """Where a unit that runs on this machine writes; SLURM's jobs have theirs in `submitted.json`."""
        return self.root / "logs" / f"{unit}.log"

    def submitted(self) -> dict[str, dict[str, str]]:
        """Unit -> {job: SLURM's id, log: its path, sweep and unit: whose job it is}; empty for a sweep that runs on this machine."""
        path = self.root / "submitted.json"
        found: dict[str, dict[str, str]] = read_json(path) if path.is_file() else {}
        return found

    def write_submitted(self, jobs: Mapping[str, Mapping[str, str]]) -> None:
        """Adds to what `submitted` gives."""
        with explain_os_errors(self.root):
            write_whole_json(self.root / "submitted.json", self.submitted() | dict(jobs))


@contextmanager
def explain_unknown_plan(folder: SweepFolder) -> Iterator[None]:
    """Turns what a plan of another form raises into a StoreError that says what to do."""
    try:
        yield
    except (KeyError, TypeError, AttributeError) as error:
        cause = f"{type(error).__name__}: {error}"
        raise StoreError(f"sweep {folder.name}: its plan.json is not one of this version's ({cause}); start the sweep again") from error


def _as_tuple(value: Any) -> Any:
    """JSON's lists are tuples here."""
    return tuple(value) if isinstance(value, list) else value


def sweep_folders(store: Store) -> list[SweepFolder]:
    """All sweeps of the store, the latest last."""
    found = [path.parent for path in (store.root / "sweeps").glob("*/plan.json")]
    return [SweepFolder(path) for path in sorted(found, key=lambda path: (path / "plan.json").stat().st_mtime)]


def folder_name(text: str) -> str:
    """A sweep's name as a folder's."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "sweep"
