"""Runs a command with all its processes: to its end, to a time limit, or until it is to be killed; what it took and printed."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import psutil
from measuring import ROOT

LOOK_S = 0.05


def run_until(
    command: Sequence[str], environment: Mapping[str, str], limit_s: float, is_over: Callable[[], bool]
) -> tuple[dict[str, Any], str]:  # fmt: skip
    """How it ended (exit code, 'killed' or 'stopped after … s'), seconds, CPU seconds, peak memory, processes at once; and its output.

    Memory is the sum of resident sets (10^6 bytes), so pages that processes share count for each. CPU time is the larger of what the
    system says of children waited for and what was last seen of each process: those that are killed are in the latter only.
    """
    before, started = os.times(), time.monotonic()
    seen: dict[int, float] = {}
    peak = most = 0
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            env=os.environ | environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        ended: int | str | None = None
        tree: list[psutil.Process] = []
        while ended is None:
            tree = family(process.pid) or tree
            peak, most = max(peak, sum(look(member, seen) for member in tree)), max(most, len(tree))
            if process.poll() is not None:
                ended = process.returncode
            elif is_over():
                ended = "killed"
            elif time.monotonic() - started > limit_s:
                ended = f"stopped after {limit_s:.0f} s"
            else:
                time.sleep(LOOK_S)
        seconds = time.monotonic() - started
        end(process, tree)
        log.seek(0)
        printed = log.read().decode("utf-8", "replace")
    after = os.times()
    cpu = max(after.children_user + after.children_system - before.children_user - before.children_system, sum(seen.values()))
    figures = {"seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2), "peak_mb": round(peak / 1e6, 1), "processes": most}
    return {"ended": ended} | figures, printed


def family(pid: int) -> list[psutil.Process]:
    """The process and all below it; none once it is gone."""
    with suppress(psutil.Error):
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    return []


def look(process: psutil.Process, seen: dict[int, float]) -> int:
    """Its resident bytes; its CPU seconds go into `seen`."""
    with suppress(psutil.Error), process.oneshot():
        times = process.cpu_times()
        seen[process.pid] = times.user + times.system
        return int(process.memory_info().rss)
    return 0


def end(process: subprocess.Popen[bytes], tree: Sequence[psutil.Process]) -> None:
    """SIGKILL to whatever of it is left."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for member in tree:
        with suppress(psutil.Error):
            member.kill()
    process.wait()
