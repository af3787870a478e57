"""What tools that write synthetic data reach on the same work as japagen, and what faults leave of it: side by side in one run.

    python benchmarks/peers.py [--parts speed outage …] [--tools curator japagen …] [--open 64 256] [--rounds 3]

Each tool's smallest usual script (benchmarks/peers/) asks the stub server for texts of 200 characters, one a request, 50 ms each. A peer
runs in an environment of its own, made from pinned requirements under --environments where it is missing (minutes, some GB); one that
can't be installed or doesn't start is a row with its cause. Part speed interleaves all tools: `rows_per_s` is from the first request to
the last answer; start-up is what the same command takes for two rows, and the CPU time a row is without that. The other parts are
faults, one command each (killed and grown: two).
Writes benchmarks/results/peers.json; what was measured on the same machine before and isn't now stays in it.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measuring import RESULTS, ROOT, machine, write_result
from peers_run import run_until
from stub_server import ask_stub, running_stub

SCRIPTS = ROOT / "benchmarks" / "peers"
SPEED = "speed"
START_ROWS = 2
COUNTS = ("rows", "empty", "swapped", "twice", "lost")
"""Counts that a script reports about its output."""
CL100K = "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
"""The name under which tiktoken looks for its vocabulary cl100k_base in TIKTOKEN_CACHE_DIR."""


@dataclass(frozen=True)
class Tool:
    """A tool and how it is run."""

    script: str
    options: tuple[str, ...] = ()
    requirements: str = ""
    """Its environment's name; none: this interpreter's."""
    num_rows: int = 2_000
    """Part speed: fewer for those that need minutes for more."""
    faults: bool = True


TOOLS = {
    "bare loop": Tool("../bare_loop.py", num_rows=10_000, faults=False),
    "japagen": Tool("run_japagen.py", num_rows=10_000),
    "japagen, 8 texts a request": Tool("run_japagen.py", ("--texts-per-request", "8"), num_rows=10_000, faults=False),
    "curator": Tool("run_curator.py", requirements="curator"),
    "Data Designer": Tool("run_data_designer.py", requirements="data_designer"),
    "DataDreamer": Tool("run_datadreamer.py", requirements="datadreamer", num_rows=1_000),
    "distilabel": Tool("run_distilabel.py", requirements="distilabel", num_rows=500),
}


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and on which work."""

    about: str
    settings: Mapping[str, float]
    num_rows: int = 1_000
    kill_at: int = 0
    """SIGKILL to all of the tool's processes after so many answers, then the same command again."""
    first_rows: int = 0
    """Another command for so many rows before."""


FAULTS = {
    "errors": Fault("5% of requests get a 500, 1% a reset connection", {"p500": 0.05, "preset": 0.01}),
    "outage": Fault("20 s without a server after 300 answers", {"outage_at": 300, "outage_s": 20}),
    "refused": Fault("every 100th row gets a 400, always", {"bad_every": 100}),
    "killed": Fault("SIGKILL at 500 of 1,000 rows, then the same command again", {}, kill_at=500),
    "grown": Fault("500 rows, then 1,000 with the same folder", {}, first_rows=500),
}


def main() -> None:
    """Makes what is missing of the environments, measures, and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=(SPEED, *FAULTS), default=[SPEED])
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=list(TOOLS))
    parser.add_argument("--open", type=int, nargs="+", default=[64], help="part speed: open requests")
    parser.add_argument("--rounds", type=int, default=1, help="part speed")
    parser.add_argument("--scale", type=float, default=1.0, help="part speed: so many times the usual rows")
    parser.add_argument("--limit-s", type=float, default=150, help="a command that takes longer is ended")
    parser.add_argument("--environments", type=Path, default=ROOT / "build" / "peers")
    args = parser.parse_args()
    pythons = {name: environment(tool.requirements, args.environments) for name, tool in TOOLS.items() if name in args.tools}
    path = RESULTS / "peers.json"
    here = {
        "machine": machine("aiohttp", "uvloop"),
        "peers": {name: own_pin(tool.requirements) for name, tool in TOOLS.items() if tool.requirements},
    }
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if {name: report.get(name) for name in here} != here:  # what was measured elsewhere isn't comparable
        report = here | {SPEED: {}, "faults": {}}
    with running_stub() as address:
        if SPEED in args.parts:
            for num_open in args.open:
                found = report[SPEED].setdefault(f"{num_open} open", {})
                found |= compare(pythons, address, num_open, args)
        for part in (part for part in args.parts if part != SPEED):
            found = report["faults"].setdefault(part, {"about": FAULTS[part].about})
            for name in (name for name in pythons if TOOLS[name].faults):
                found[name] = suffer(FAULTS[part], name, pythons[name], address, args.limit_s)
    write_result("peers", report)


def compare(pythons: Mapping[str, Path | str], address: str, num_open: int, args: argparse.Namespace) -> dict[str, Any]:
    """All tools without faults: what starting takes, then the rounds, interleaved, and their medians."""

    def measure(name: str, num_rows: int) -> dict[str, Any]:
        ask_stub(address, "/reset", {})
        with tempfile.TemporaryDirectory() as out:
            return command(name, pythons[name], address, num_rows, num_open, out, args.limit_s)

    starts = {name: measure(name, START_ROWS) for name in pythons}
    rounds = [{name: measure(name, int(TOOLS[name].num_rows * args.scale)) for name in pythons} for _ in range(args.rounds)]
    return {name: summary(starts[name], [entry[name] for entry in rounds]) for name in pythons}


def summary(start: dict[str, Any], rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """A tool's medians over the rounds with their range, beside what start and rounds gave."""
    figures: dict[str, list[float]] = {"rows_per_s": [], "cpu_s_per_1000_rows": [], "peak_mb": []}
    for entry in rounds:
        if entry.get("ended") == 0 and start.get("ended") == 0 and entry.get("lost", entry["asked"]) < entry["asked"]:
            rows = entry["asked"] - entry["lost"]
            figures["rows_per_s"].append(round(rows / entry["stub"]["span_s"], 1))
            figures["cpu_s_per_1000_rows"].append(round(1000 * (entry["cpu_seconds"] - start["cpu_seconds"]) / (rows - START_ROWS), 3))
            figures["peak_mb"].append(entry["peak_mb"])
    medians = {
        name: {"median": round(statistics.median(values), 3), "range": [min(values), max(values)]}
        for name, values in figures.items()
        if values
    }
    return medians | {"start": start, "rounds": rounds}


def suffer(fault: Fault, name: str, python: Path | str, address: str, limit_s: float) -> list[dict[str, Any]]:
    """What came of each command under a fault; the stub's counts are of all so far."""
    with tempfile.TemporaryDirectory() as out:
        ask_stub(address, "/reset", dict(fault.settings))
        found = []
        if fault.first_rows:
            found.append(command(name, python, address, fault.first_rows, 64, out, limit_s))
        found.append(command(name, python, address, fault.num_rows, 64, out, limit_s, fault.kill_at))
        if fault.kill_at:
            found.append(command(name, python, address, fault.num_rows, 64, out, limit_s))
    return found


def command(
    name: str, python: Path | str, address: str, num_rows: int, num_open: int, out: str, limit_s: float, kill_at: int = 0
) -> dict[str, Any]:  # fmt: skip
    """One command of a tool: how it ended, its cost, its own counts, and the stub's counts; or the cause why it can't run."""
    tool = TOOLS[name]
    if isinstance(python, str):
        return {"cause": python}
    work = ["--url", f"{address}/v1", "--rows", str(num_rows), "--open", str(num_open), "--out", f"{out}/written"]

    def is_over() -> bool:
        return bool(kill_at) and ask_stub(address, "/stats")["ok"] >= kill_at

    line = [str(python), str(SCRIPTS / tool.script), *work, *tool.options]
    found, printed = run_until(line, surroundings(python, out), limit_s, is_over)
    summaries = [text for text in printed.splitlines() if text.startswith('{"rows"')]
    if summaries:
        found |= {kind: count for kind, count in json.loads(summaries[-1]).items() if kind in COUNTS}
    elif found["ended"] != "killed":
        found["said"] = last_words(printed, Path(out))
    found = {"asked": num_rows} | found
    print(name, found, flush=True)
    return found | {"stub": {kind: value for kind, value in ask_stub(address, "/stats").items() if value}}


def surroundings(python: Path, out: str) -> dict[str, str]:
    """Variables for a tool's process: its caches in `out`, no telemetry, no network.

    Three peers fetch tiktoken's vocabulary at their start; they are given the copy that comes with litellm (curator's environment).
    """
    copy = next(python.parents[2].glob(f"*/lib/*/site-packages/litellm/**/{CL100K}"), Path())
    quiet = {"TELEMETRY_ENABLED": "0", "NEMO_TELEMETRY_ENABLED": "false", "DATADREAMER_DISABLE_TELEMETRY": "1"}
    caches = {"CURATOR_CACHE_DIR": f"{out}/cache", "HF_HOME": f"{out}/hf", "TIKTOKEN_CACHE_DIR": str(copy.parent)}
    local = {"HF_HUB_OFFLINE": "1", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "OPENAI_API_KEY": "none"}
    return quiet | caches | local | {"CURATOR_DISABLE_RICH_DISPLAY": "1"}


def last_words(printed: str, folder: Path) -> str:
    """The end of what a tool printed, without this machine's paths."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in printed.splitlines() if line.strip()]
    return " / ".join(lines[-3:]).replace(str(folder), "OUT").replace(str(ROOT), "CHECKOUT")[-400:]


def environment(name: str, folder: Path) -> Path | str:
    """Its interpreter, made with the pinned requirements where it is missing; or, as a string, the cause why it can't be made."""
    if not name:
        return Path(sys.executable)
    wanted, home = (SCRIPTS / f"{name}.txt").read_text(encoding="utf-8"), folder / name
    stamp, python = home / "installed.txt", home / "bin" / "python"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    print(f"installing {name} into {home}", flush=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-deps", "-r", str(SCRIPTS / f"{name}.txt")]
    for step in ([sys.executable, "-m", "venv", str(home)], pip):
        done = subprocess.run(step, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | {"PYTHONPATH": ""})
        if done.returncode:
            shutil.rmtree(home, ignore_errors=True)
            return f"can't be installed: {last_words(done.stdout, home)}"
    stamp.write_text(wanted, encoding="utf-8")
    return python


def own_pin(name: str) -> str:
    """The tool's own version: the first pin of its requirements."""
    lines = (SCRIPTS / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line and not line.startswith("#"))


if __name__ == "__main__":
    main()
