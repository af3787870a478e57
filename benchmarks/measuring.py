"""What the benchmarks share: the machine's description, where results go, and the cost of a command with all its processes."""

import json
import os
import platform
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"


@dataclass(frozen=True)
class Cost:
    """What a command took: wall seconds, CPU seconds and peak memory (10^6 bytes) of its whole process tree, the load when it began."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    load: float


def run_command(command: Sequence[str], environment: Mapping[str, str] | None = None, timeout_s: float = 600, cwd: Path = ROOT) -> Cost:
    """Runs a command to its end; SystemExit, with the end of what it printed, where it fails.

    Memory is the sum of resident sets, sampled 20 times a second; CPU time that of the command and of all children it waited for.
    """
    load = os.getloadavg()[0]
    before = os.times()
    started = time.monotonic()
    process = subprocess.Popen(
        command, env=os.environ | dict(environment or {}), cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    peak: list[int] = [0]
    watcher = threading.Thread(target=_watch, args=(process, peak), daemon=True)
    watcher.start()
    try:
        printed, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        sys.exit(f"{' '.join(command)} took longer than {timeout_s:.0f} s")
    seconds, after = time.monotonic() - started, os.times()
    watcher.join()
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with code {process.returncode}:\n{printed.decode('utf-8', 'replace')[-3000:]}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Cost(round(seconds, 2), round(cpu, 2), round(peak[0] / 1e6, 1), round(load, 1))


def _watch(process: subprocess.Popen[bytes], peak: list[int]) -> None:
    while process.poll() is None:
        try:
            root = psutil.Process(process.pid)
            peak[0] = max(peak[0], sum(_resident(member) for member in (root, *root.children(recursive=True))))
        except psutil.Error:
            pass
        time.sleep(0.05)


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def machine(*packages: str) -> dict[str, Any]:
    """What it was measured on, with the versions of `packages`."""
    model = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    return {
        "cpu": model[1] if model else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
    }


def write_result(name: str, report: Mapping[str, Any]) -> None:
    """Prints a benchmark's report and writes it to results/<name>.json."""
    text = json.dumps(report, ensure_ascii=False, indent=1)
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")
