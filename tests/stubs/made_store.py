"""A small store made by hand: artifacts that say what they were made from, and sweeps that plan them; no model, no rows to speak of."""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from japagen.store.files import write_json
from japagen.store.store import Store, artifact_meta
from japagen.sweeps.folder import Planned, SweepFolder, Unit
from tests.stubs.results import RESULT

DAY_S = 86400.0


def key(name: str) -> str:
    """A key to tell from others: hexadecimal digits of the name, filled up."""
    return name.encode().hex().ljust(32, "0")[:32]


def make(store: Store, stage: str, name: str, identity: Mapping[str, Any] | None = None, days: float = 30, **meta: Any) -> str:
    """An artifact whose files are so many days old; its key."""
    folder = store.path(stage, key(name))
    folder.mkdir(parents=True)
    (folder / "content").write_text("x" * 1000, encoding="utf-8")
    write_json(folder / "meta.json", artifact_meta(stage, key(name), dict(identity or {})) | meta)
    if stage in ("stream", "answers"):
        (folder / "sessions.jsonl").write_text(json.dumps({"seconds": 60.0, "rows": 10, "completion_tokens": 200}) + "\n", encoding="utf-8")
    age(folder, days)
    return key(name)


def make_result(store: Store, name: str, identity: Mapping[str, Any], keys: Mapping[str, str], days: float = 30, **fields: Any) -> str:
    """A result that names the keys of all its stages."""
    made = make(store, "result", name, identity)
    write_json(store.path("result", made) / "result.json", asdict(replace(RESULT, keys={**keys, "result": made}, **fields)))
    age(store.path("result", made), days)
    return made


def make_arm(store: Store, name: str, stream: str, days: float = 30) -> dict[str, str]:
    """Data set, model and result upon a stream; the keys of all four."""
    keys = {"stream": stream}
    keys["dataset"] = make(store, "dataset", f"d-{name}", {"stream": stream}, days, num_train=9, num_valid=1)
    keys["model"] = make(store, "model", f"m-{name}", {"rows": keys["dataset"], "encoder": {"id": "enc"}, "seed": 3}, days, num_train=9)
    return keys | {"result": make_result(store, f"r-{name}", {"model": keys["model"]}, keys, days)}


def make_stream(store: Store, name: str = "s", days: float = 30) -> str:
    return make(store, "stream", name, {"llm": {"id": "writer"}, "prompt": {"name": "base"}, "seed": 0}, days)


def make_sweep(store: Store, name: str, *experiments: Mapping[str, str]) -> SweepFolder:
    planned = [Planned(f"jnli-{number}", "jnli", dict(keys)) for number, keys in enumerate(experiments)]
    units = [Unit(f"student-{number:04d}", "student", experiment.name, (number,)) for number, experiment in enumerate(planned)]
    return SweepFolder.create(store, name, [], planned, units)


def age(folder: Path, days: float) -> None:
    """Makes it and all in it look so old."""
    then = time.time() - days * DAY_S
    for path in [folder, *folder.rglob("*")]:
        os.utime(path, (then, then))


def lock_of(store: Store, stage: str, made: str, pid: int = 1, host: str = "elsewhere") -> Path:
    """A lock of somebody else's; by default of a host whose processes we can't see."""
    path = store.lock_path(stage, made)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"host": host, "pid": pid, "started": 0.0, "token": "t", "beat": 0, "slurm_job": None}), encoding="utf-8")
    return path


def contents(store: Store) -> dict[str, bytes]:
    """Every file of the store."""
    return {str(path.relative_to(store.root)): path.read_bytes() for path in sorted(store.root.rglob("*")) if path.is_file()}
