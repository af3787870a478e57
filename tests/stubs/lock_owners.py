"""Locks and claims whose owner is gone or on another machine."""

import json
from pathlib import Path
from typing import Any

from japagen.synthesis.claims import Claims


def orphan(claims: Claims) -> None:
    """Makes the owner a process that is gone (its number has been given to another)."""
    owner = json.loads(claims._lock.path.read_text(encoding="utf-8"))
    claims._lock.path.write_text(json.dumps(owner | {"started": owner["started"] - 1000}), encoding="utf-8")


def foreign_lock(tmp_path: Path, **changes: Any) -> Path:
    owner = {"host": "elsewhere", "pid": 1, "started": 0.0, "token": "t", "beat": 0, "slurm_job": None} | changes
    path = tmp_path / "locks" / "model-k.lock"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(owner), encoding="utf-8")
    return path
