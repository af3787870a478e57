"""What starting costs: CPU seconds of commands that only answer, and where an experiment's seconds go before and beside its real work.

    python benchmarks/startup.py [--rounds 7] [--no-experiment]

Commands run in turn, each as a process of its own; `floor` is Python with nothing to do, `hydra` Python that imports Hydra. CPU seconds are
user and system of the whole process, files in the page cache; median and range over the rounds.

The experiment is the default one with 100 texts a label and one epoch, on the demo models with a store of its own, then the same with
another seed: it must find the texts, so it starts no server. Its wall seconds are told apart by the units' states and by what the stages
noted: `before` (imports, composing, planning), `server` (start and end), `writing` (first request to last), `loading` (the student's
libraries and its rows), `training`, `scoring`, `after` (tables). Writes benchmarks/results/startup.json.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from measuring import machine, run_command, write_result

COMMANDS = {
    "floor": ["-c", "pass"],
    "hydra": ["-c", "import hydra"],
    "japagen --help": ["-m", "japagen", "--help"],
    "run.py --help": ["run.py", "--help"],
    "run.py --cfg job": ["run.py", "--cfg", "job"],
}
EXPERIMENT = ["num_per_label=100", "train.epochs=1", "logger=none", "train.keep=all"]


def main() -> None:
    """Measures commands and experiments and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--no-experiment", action="store_true", help="commands only: needs no vLLM")
    args = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(args.rounds + 1):
        for name, command in COMMANDS.items():
            cost = run_command([sys.executable, *command])
            if number:  # the first round fills the page cache
                seconds[name].append(cost.cpu_seconds)
    commands = {name: {"cpu_seconds": statistics.median(values), "range": [min(values), max(values)]} for name, values in seconds.items()}
    print(json.dumps(commands), file=sys.stderr, flush=True)
    report: dict[str, Any] = {"rounds": args.rounds, "commands": commands, "machine": machine("hydra-core", "torch", "transformers")}
    if not args.no_experiment:
        with tempfile.TemporaryDirectory() as folder:
            store = Path(folder) / "store"
            report["experiments"] = {"first": experiment(store, 0), "second seed": experiment(store, 1)}
    write_result("startup", report)


def experiment(store: Path, seed: int) -> dict[str, Any]:
    """Wall seconds of each part, server starts so far, and the cost of the whole command."""
    began = time.time()
    own = [f"seed={seed}", f"store={store}", f"hydra.run.dir={store}/hydra/{seed}"]
    cost = run_command([sys.executable, "run.py", *EXPERIMENT, *own])
    (folder,) = (store / "sweeps").glob(f"*{seed}")
    units = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (folder / "units").glob("*.json")}
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    keys = plan["experiments"][0]["keys"]
    result = json.loads((store / "results" / keys["result"] / "result.json").read_text(encoding="utf-8"))["seconds"]
    spent = {name: unit["ended"] - unit["started"] for name, unit in units.items()}
    student = next(name for name in units if name.startswith("student"))
    parts = {"before": min(unit["started"] for unit in units.values()) - began}
    if "llm-0" in units:
        lines = (store / "streams" / keys["stream"] / "sessions.jsonl").read_text(encoding="utf-8").splitlines()
        writing = sum(json.loads(line)["seconds"] for line in lines)
        parts |= {"server": spent["llm-0"] - writing, "writing": writing}
    parts |= {
        "loading": spent[student] - result["training"] - result["scoring"],
        "training": result["training"],
        "scoring": result["scoring"],
    }
    parts["after"] = began + cost.seconds - max(unit["ended"] for unit in units.values())
    return {
        "parts_s": {name: round(value, 1) for name, value in parts.items()},
        "server starts": len(list((store / "logs").glob("vllm-*.log"))),
        **asdict(cost),
    }


if __name__ == "__main__":
    main()
