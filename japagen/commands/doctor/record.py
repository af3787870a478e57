"""Records of `japagen doctor --record`: date, hardware, versions and speeds of an LLM and an encoder, as JSON in STORE/records.

They lie beside what the store holds, never in the package: a figure belongs to a machine. `verified` in a YAML is written by hand from one.
"""

import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from japagen.commands.doctor.installation import TIED, Check, installed_gpus, installed_version
from japagen.errors import StoreError
from japagen.store.files import explain_os_errors, read_json, write_whole_json
from japagen.store.store import Store

FORMAT = 1


def write_record(store: Store, overrides: list[str], parts: dict[str, dict[str, Any]], load: float) -> Path:
    """Writes `parts` (by kind: llm, encoder) with date, hardware and versions; the file's path. StoreError where that is not possible.

    load: processes that waited for a core before anything was measured (`os.getloadavg`); figures of a busy machine are too low.
    """
    made = datetime.now(UTC)
    names = "-".join(re.sub(r"[^\w.]+", "-", str(part["name"])) for part in parts.values())
    path = store.root / "records" / f"{made:%Y%m%d-%H%M%S}-{names}.json"
    content = {
        "format": FORMAT,
        "made": made.isoformat(timespec="seconds"),
        "overrides": overrides,
        "hardware": hardware() | {"load_before": round(load, 2)},
        "versions": versions(),
        **parts,
    }
    with explain_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole_json(path, content)
    return path


def versions() -> dict[str, str]:
    """Python, japagen, and the packages that decide speed."""
    found = {name: installed_version(name) for name in ("japagen", *TIED)}
    return {"python": platform.python_version()} | {name: version for name, version in found.items() if version is not None}


def hardware() -> dict[str, Any]:
    """The machine as a reader of figures needs it: CPU, cores that this process may use, memory, GPUs."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
        "gpus": list(installed_gpus()),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _cpu() -> str:
    """The CPU's name as Linux gives it."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or "unknown"


def recorded_check(store: Store, kind: str, name: str, model_id: str) -> Check:
    """The newest record of this model in the store, in one line."""
    found = newest(store, kind, name, model_id)
    if found is None:
        return Check("ok", "recorded", f"never; --record keeps date, hardware and speed in {store.root / 'records'}")
    part, machine = found[kind], found["hardware"]
    cores = f"{machine['cpu']}, {machine['cores']} cores"
    where = f"{'; '.join(machine['gpus'])}, {cores}" if machine["gpus"] and part.get("device") != "cpu" else cores
    load, num_cores = machine.get("load_before", 0), machine["cores"]
    busy = f", busy with other programs: load {load:.0f}" if isinstance(num_cores, int) and load > num_cores else ""
    return Check("ok", "recorded", f"on {found['made'][:10]}: {speeds(kind, part)} ({where}{busy})")


def measured_check(kind: str, part: dict[str, Any], load: float) -> Check:
    """What a record is about to keep; a warning where other programs used the cores meanwhile."""
    cores = len(os.sched_getaffinity(0))
    if load <= cores:
        return Check("ok", "measured", speeds(kind, part))
    found = f"{speeds(kind, part)}, while other programs used the machine (load {load:.0f} on {cores} cores)"
    return Check("warning", "measured", found, "measure again when the machine is idle")


def speeds(kind: str, part: dict[str, Any]) -> str:
    """A part's figures in words."""
    if kind == "encoder":
        return f"{part['train_texts_per_s']:,.0f} texts/s in training, {part['predict_texts_per_s']:,.0f} in prediction"
    return "; ".join(f"{one['tokens_per_s']:,.0f} tokens/s with {one['open']} open" for one in part["speeds"])


def newest(store: Store, kind: str, name: str, model_id: str) -> dict[str, Any] | None:
    """The newest readable record that has this model; None where there is none."""
    for path in sorted((store.root / "records").glob("*.json"), reverse=True):
        try:
            content = read_json(path)
            if content["format"] == FORMAT and content[kind]["name"] == name and content[kind]["id"] == model_id:
                speeds(kind, content[kind])
                return {**content, "hardware": {"cpu": "unknown CPU", "cores": "?", "gpus": []} | content["hardware"]}
        except (StoreError, KeyError, TypeError, ValueError):  # another version's, or spoilt by hand: no record
            continue
    return None
