"""What a sweep costs before any of it runs, and what a store with as many artifacts costs it: CPU seconds and file system calls a step.

    python benchmarks/planning.py [--jobs 1000 3000 10000] [--rounds 1]

The sweep has 3 tasks, 0 and 3 shots, 2 sizes of data set, 2 numbers of epochs, and as many seeds, on one draw, as make the number of jobs.
Half of its results, with their models, stand in the store, so it holds as many artifacts as there are jobs. Measured are, each size in a
process of its own: the steps of `run.py -m` one by one (in this order: see STEPS), and the whole command with plan=true. Nothing is
generated or trained; results are made up.

Calls are those of os.stat, open, and os.scandir or os.listdir (`lists`, with the `entries` that they gave), on all paths: a step that looks
through the store for every job would show in the entries. `growth` is the exponent between the smallest and the largest size (1: linear).
`as Hydra composes` is the time of one job by Hydra alone, times the jobs. Writes benchmarks/results/planning.json.
"""

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from measuring import ROOT, machine, run_command, write_result

SWEPT = {"task": ("jcola", "jnli", "jsts"), "shots": (0, 3), "num_per_label": (100, 300), "train.epochs": (2, 4)}
SAMPLE = 20
"""Jobs that Hydra composes alone, and artifacts that are published."""
STEPS = {
    "compose": "every job's configuration, converted and checked",
    "plan": "gold rows, exemplars and the keys of all stages",
    "units": "what is left to do",
    "write": "the sweep's folder",
    "outcomes": "what every job came to",
    "read plan": "what one worker reads: units, experiments, one configuration",
    "publish": f"{SAMPLE} artifacts, each under its lock",
}


def main() -> None:
    """Measures every size and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1000, 3000, 10_000])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--measure", nargs=2, metavar=("SEEDS", "STORE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(int(args.measure[0]), Path(args.measure[1]))
        return
    sizes = [one_size(num, args.rounds) for num in sorted(args.jobs)]
    report = {"steps": STEPS, "rounds": args.rounds, "machine": machine("hydra-core", "omegaconf"), "sizes": sizes}
    write_result("planning", report | {"growth": growth(sizes[0], sizes[-1])})


def one_size(num: int, rounds: int) -> dict[str, Any]:
    """Medians over the rounds, each with an empty store of its own that is filled on the way."""
    seeds = round(num / math.prod(map(len, SWEPT.values())))
    found = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "figures.json"
            run_command([sys.executable, __file__, "--measure", str(seeds), folder])
            settings = [*(f"{name}={','.join(map(str, values))}" for name, values in SWEPT.items()), f"seed=range({seeds})"]
            own = ["draw=0", "logger=none", "plan=true", f"store={folder}/store", f"hydra.sweep.dir={folder}/hydra"]
            cost = run_command([sys.executable, "run.py", "-m", *settings, *own])
            figures = json.loads(out.read_text(encoding="utf-8"))
            figures["cpu_seconds"]["run.py -m plan=true"] = cost.cpu_seconds
            found.append(figures | {"peak_mb": cost.peak_mb})
            print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    names = found[0]["cpu_seconds"]
    first = found[0]
    return {
        **{name: first[name] for name in ("jobs", "artifacts", "compositions", "calls")},
        "cpu_seconds": {name: statistics.median(run["cpu_seconds"][name] for run in found) for name in names},
        "peak_mb": statistics.median(run["peak_mb"] for run in found),
    }


def growth(small: dict[str, Any], large: dict[str, Any]) -> dict[str, float]:
    """Step -> exponent of its CPU seconds; 'calls' of all calls together."""
    if small["jobs"] == large["jobs"]:
        return {}
    times = math.log(large["jobs"] / small["jobs"])
    seconds = {name: (small["cpu_seconds"][name], large["cpu_seconds"][name]) for name in small["cpu_seconds"]}
    calls = [
        sum(sum(step.values()) for name, step in run["calls"].items() if name not in ("publish", "read plan")) for run in (small, large)
    ]
    return {
        name: round(math.log(b / a) / times, 2) for name, (a, b) in {**seconds, "calls": (calls[0], calls[1])}.items() if a > 0 and b > 0
    }


def measure(seeds: int, folder: Path) -> None:
    """The steps, in this process; writes `folder`/figures.json and leaves a half-done store in `folder`/store."""
    from japagen.config.schema import register_schema
    from japagen.experiments.planning import Planner
    from japagen.store.store import Store
    from japagen.sweeps.folder import STUDENT, SweepFolder
    from launch.compositions import Compositions
    from launch.execute import outcome_of
    from launch.planning import pinned, plan_experiments, plan_units, planned

    os.chdir(ROOT)
    store = Store(folder / "store")
    jobs = [
        [f"{name}={value}" for name, value in zip((*SWEPT, "seed"), values, strict=True)] + [f"store={store.root}", "logger=none", "draw=0"]
        for values in product(*SWEPT.values(), range(seeds))
    ]
    seconds: dict[str, float] = {}
    calls: dict[str, dict[str, int]] = {}

    counts = count_calls()

    def step(name: str, work: Callable[[], Any]) -> Any:
        counts.clear()
        began = time.process_time()
        made = work()
        seconds[name] = round(time.process_time() - began, 3)
        calls[name] = {call: counts[call] for call in ("stat", "open", "lists", "entries")}
        return made

    register_schema()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        loader: Any = GlobalHydra.instance().config_loader()
        master = loader.load_configuration("config", [], RunMode.MULTIRUN)
        began = time.process_time()
        for job in jobs[:: max(1, len(jobs) // SAMPLE)][:SAMPLE]:
            loader.load_sweep_config(master, job)
        seconds["as Hydra composes"] = round((time.process_time() - began) / SAMPLE * len(jobs), 1)
        compositions = Compositions(loader)
        configs = step("compose", lambda: [compositions.config(master, job) for job in jobs])
    experiments = step("plan", lambda: plan_experiments(configs, Planner()))
    fill(store, experiments[::2])
    units = step("units", lambda: plan_units(experiments, store))
    sweep = step(
        "write", lambda: SweepFolder.create(store, "x", [pinned(experiment) for experiment in experiments], planned(experiments), units)
    )
    students = {experiments[unit.experiments[0]].keys["result"]: unit for unit in units if unit.kind == STUDENT}
    step("outcomes", lambda: [outcome_of(sweep, students.get(experiment.keys["result"]), experiment, store) for experiment in experiments])
    step("read plan", lambda: [sweep.units(), sweep.experiments(), sweep.config(0)])
    step("publish", lambda: publish(store))
    num_artifacts = sum(len(list(path.iterdir())) for path in (store.root / part for part in ("results", "models")) if path.is_dir())
    figures = {
        "jobs": len(jobs),
        "artifacts": num_artifacts,
        "compositions": len(compositions._alike),
        "calls": calls,
        "cpu_seconds": seconds,
    }
    (folder / "figures.json").write_text(json.dumps(figures), encoding="utf-8")


def fill(store: Any, experiments: Sequence[Any]) -> None:
    """Gives the store made-up results, and models, of the experiments."""
    from japagen.experiments.scoring import _describe
    from japagen.store.store import artifact_meta

    for experiment in experiments:
        for stage in ("model", "result"):
            path = store.path(stage, experiment.keys[stage])
            path.mkdir(parents=True)
            meta = artifact_meta(stage, experiment.keys[stage], experiment.identities[stage]) | {
                "seconds": 1.0,
                "training": {"best_score": 0.5},
            }
            (path / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
        no_dataset = replace(experiment, keys={name: key for name, key in experiment.keys.items() if name != "dataset"})
        result = replace(_describe(no_dataset, store, (), 1.0), keys=experiment.keys)
        (store.path("result", experiment.keys["result"]) / "result.json").write_text(json.dumps(asdict(result)), encoding="utf-8")


def publish(store: Any) -> None:
    """Some small artifacts, as results and data sets are published."""

    def build(out: Path) -> dict[str, Any]:
        (out / "content").write_text("x", encoding="utf-8")
        return {}

    for number in range(SAMPLE):
        key = f"{number:032x}"
        with store.lock("result", key) as lock:
            store.publish("result", key, build, {}, lock)


def count_calls() -> Counter[str]:
    """Counts this process's calls from now on: os.stat, open, os.scandir and os.listdir, and the entries that the latter two give."""
    found: Counter[str] = Counter()
    real_stat, real_scandir, real_listdir = os.stat, os.scandir, os.listdir

    def stat(*arguments: Any, **named: Any) -> os.stat_result:
        found["stat"] += 1
        return real_stat(*arguments, **named)

    def scandir(path: Any = ".") -> Any:
        listdir(path)
        return real_scandir(path)

    def listdir(path: Any = ".") -> list[str]:
        names = real_listdir(path)
        found.update({"lists": 1, "entries": len(names)})
        return names

    def hook(event: str, _: Any) -> None:
        found["open"] += event == "open"

    os.stat, os.scandir, os.listdir = stat, scandir, listdir  # type: ignore[assignment]
    sys.addaudithook(hook)
    return found


if __name__ == "__main__":
    main()
