"""What a sweep of many students costs its client, and SLURM's controller: seconds, and calls of each of SLURM's commands.

Submits `--students` students (method=gold, held, so that none runs; wait=false), lets `launch.slurm.watching` look at
them `--polls` times while they wait, and cancels them. Needs a SLURM (make slurm-up): python benchmarks/slurm_submission.py --students 300
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from japagen.experiments.planning import plan_experiment
from japagen.store.store import Store
from japagen.sweeps.folder import sweep_folders
from launch.slurm.watching import Watch

COMMANDS = ("sbatch", "scontrol", "squeue", "sacct", "scancel")
ROOT = Path(__file__).parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--students", type=int, default=300)
    parser.add_argument("--polls", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        calls = count_calls(root)
        started = time.time()
        submit(root, arguments.students)
        ended = time.time()
        during = Counter(calls.read_text(encoding="utf-8").split())
        sweep = sweep_folders(Store(root / "store"))[-1]
        jobs = sweep.submitted()
        planned = (sweep.root / "plan.json").stat().st_mtime
        try:
            calls.write_text("", encoding="utf-8")
            experiments = [plan_experiment(sweep.config(0))] * arguments.students
            watch = Watch(sweep, sweep.units(), jobs, experiments, Store(root / "store"), lambda unit: None)
            began = time.monotonic()
            for _ in range(arguments.polls):
                watch.look()
            poll_s = (time.monotonic() - began) / arguments.polls
            polling = Counter(calls.read_text(encoding="utf-8").split())
        finally:
            subprocess.run(["scancel", *{job["job"].partition("_")[0] for job in jobs.values()}], check=True, timeout=60)
    figures = {
        "students": arguments.students,
        "planning_s": round(planned - started, 1),
        "submission_s": round(ended - planned, 1),
        "calls": dict(during),
        "poll_s": round(poll_s, 3),
        "calls_of_polls": dict(polling),
    }
    print(json.dumps(figures))


def count_calls(root: Path) -> Path:
    """Puts commands on the PATH that note their name and do what SLURM's do; the file with the names."""
    calls, bin_folder = root / "calls", root / "bin"
    bin_folder.mkdir()
    for name in COMMANDS:
        real = shutil.which(name)
        (bin_folder / name).write_text(f'#!/bin/sh\necho {name} >> {calls}\nexec {real} "$@"\n', encoding="utf-8")
        (bin_folder / name).chmod(0o755)
    os.environ["PATH"] = f"{bin_folder}:{os.environ['PATH']}"
    return calls


def submit(root: Path, num: int) -> None:
    """Runs run.py as a user starts it."""
    own = [f"store={root}/store", f"hydra.sweep.dir={root}/hydra", "logger=none", "hydra/launcher=slurm", "site=lab", "wait=false"]
    swept = ["method=gold", "task=jcola", "gold_per_label=8", f"seed=range({num})", "+site.student.extra.hold=true"]
    subprocess.run([sys.executable, "run.py", "-m", *own, *swept], cwd=ROOT, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    main()
