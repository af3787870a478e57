"""What judging, robust training and prior correction recover where the damage is known: gold rows with wrong labels or shifted priors.

    JAPAGEN_DATA_MIRROR=DIR python benchmarks/controlled.py            # 15 to 45 minutes on two cores
    … --quick                                                          # some minutes: few rows, one seed; writes nothing
    … --tables                                                         # the Markdown tables of the results at hand

No LLM takes part. Rows of the published train splits are spoilt, students (the demo encoder) learn from them and are scored on the
untouched valid split; weights are selected on a held-out tenth of the same spoilt rows. The judge is a stub that believes the true label
of 90% of the rows and another one of the rest, and gives what it believes 0.9. Within a seed all arms see the same rows, noise and judge.
Means and standard deviations are over seeds. Writes benchmarks/results/controlled.json when all trainings are done.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # two processes share the cores

import argparse
import importlib.metadata
import json
import platform
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from japagen.config.schema import Data, Encoder, Train
from japagen.curation.judging import judge_examples
from japagen.curation.prior import counts_prior, estimate_prior, prior_weights, uniform
from japagen.evaluation.metrics import decide, score
from japagen.gold import hold_out, read_eval, read_train
from japagen.hub.models import locate
from japagen.tasks import Example, Task

ROOT = Path(__file__).parents[1]
OUT = ROOT / "benchmarks" / "results" / "controlled.json"
TASKS = ("jsts", "jcola", "news")
NOISE = (0.0, 0.1, 0.2, 0.4)
SEEDS = (0, 1, 2)
JUDGE_ACCURACY = 0.9
JUDGE_THRESHOLD = 0.5
HELD_OUT = 0.1
NUM_UNLABELLED = 1000
SKEW = {"jsts": 0.6, "news": 0.7}
"""skewed: each label of the task's order is so many times as frequent as the one before it; the last one still has a dozen rows."""
TRAINED: dict[str, dict[str, Any]] = {
    "ensembling": {"ensemble_momentum": 0.8},
    "robust loss": {"robust_q": 0.7},
    "smoothing": {"label_smoothing": 0.15},
}
"""Arms that change the training; for classification only."""
JUDGED = ("drop", "replace", "soften")
ANY_NOISE = "any"
"""replace: the stub is always surer than the threshold, so it sets every label and the rows are the same whatever the noise was."""
SHIFTS = {"jsts": ("balanced", "skewed"), "jcola": ("balanced", "reversed"), "news": ("skewed",)}
"""Label frequencies of the training rows; as they are, the plain student without noise has them. News is nearly balanced as it is."""
MAX_LENGTH = 32
"""Tokens a text (or pair) is cut to, so that one training takes seconds: most sentences whole, of articles the headline and some more."""


@dataclass(frozen=True)
class Run:
    """One student."""

    task: str
    part: str
    """noise or prior."""
    condition: str
    """The share of wrong labels, or the training rows' frequencies."""
    arm: str
    seed: int
    num_rows: int
    epochs: int


def all_runs(tasks: Sequence[str], noise: Sequence[float], seeds: Sequence[int], num_rows: int, epochs: int) -> list[Run]:
    """Every student of the comparison; what would be the same twice is made once."""
    runs = []
    for seed in seeds:
        for task in tasks:
            arms = [
                "plain",
                "drop",
                *([] if load_task(task).is_regression else ["soften", *TRAINED]),
            ]  # a regression's soften is its replace
            runs += [Run(task, "noise", f"{share:.0%}", arm, seed, num_rows, epochs) for share in noise for arm in arms]
            runs.append(Run(task, "noise", ANY_NOISE, "replace", seed, num_rows, epochs))
            for shift in SHIFTS[task]:
                arms = ["plain", *([] if shift == "balanced" else ["uniform"]), "estimated", "oracle"]
                runs += [Run(task, "prior", shift, arm, seed, num_rows, epochs) for arm in arms]
    return runs


@cache
def load_task(name: str) -> Task:
    """A shipped task."""
    task: Any = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Task), OmegaConf.load(ROOT / "conf" / "task" / f"{name}.yaml")))
    return task


@cache
def demo_encoder() -> Encoder:
    """The shipped encoder, reading less of a text."""
    encoder: Any = OmegaConf.to_object(
        OmegaConf.merge(OmegaConf.structured(Encoder), OmegaConf.load(ROOT / "conf" / "model" / "demo.yaml"))
    )
    return replace(encoder, max_length=MAX_LENGTH)


@cache
def gold_rows(name: str) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """Train rows, and the valid rows that are scored; ids are unique."""
    task, data = load_task(name), Data(source="published", mirror=os.environ.get("JAPAGEN_DATA_MIRROR"))
    train, valid = read_train(task, data), read_eval(task, data)
    assert train is not None
    assert valid is not None
    return tuple(replace(row, id=str(index)) for index, row in enumerate(train.examples)), valid.examples


def train_once(run: Run) -> dict[str, Any]:
    """The primary metric of one student on the valid split, and what it learned from."""
    import torch

    from japagen.training.prediction import predict
    from japagen.training.student import train_student

    torch.set_num_threads(1)
    task, encoder = load_task(run.task), demo_encoder()
    train_gold, scored = gold_rows(run.task)
    started = time.monotonic()
    spoil = spoilt_labels if run.part == "noise" else shifted_priors
    rows, valid, notes = spoil(task, train_gold, scored, run)
    settings = Train(epochs=run.epochs, learning_rate=encoder.learning_rate, **(TRAINED.get(run.arm, {}) if run.part == "noise" else {}))
    with tempfile.TemporaryDirectory() as folder:
        out, work = Path(folder) / "out", Path(folder) / "work"
        # bfloat16 as on GPUs, for speed; without the cache of cast weights, which would outlive the optimiser's steps.
        with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False):
            fit = train_student(task, encoder, locate(encoder.id), None, settings, rows, valid, run.seed, out, work, device="cpu")
            outputs = predict(out, [row.texts for row in scored], "cpu")
    value = score(task, scored, decide(task, outputs))[task.metric]
    notes |= {"rows": len(rows), "best_step": fit.best_step, "steps": fit.num_steps, "seconds": round(time.monotonic() - started, 1)}
    return asdict(run) | {"value": value} | notes


def spoilt_labels(
    task: Task, gold: Sequence[Example], scored: Sequence[Example], run: Run
) -> tuple[Sequence[Example], Sequence[Example], dict[str, Any]]:
    """Rows to learn from and to select on, with the condition's share of wrong labels, after the arm's judging of both."""
    rng = np.random.default_rng([run.seed, 1])
    drawn = [gold[index] for index in rng.permutation(len(gold))[: run.num_rows]]
    share = 0.0 if run.condition == ANY_NOISE else float(run.condition.rstrip("%")) / 100
    # One order decides which rows are wrong, so that those wrong at 10% are wrong at 20% too, with the same label.
    wrong = set(rng.permutation(len(drawn))[: round(share * len(drawn))].tolist())
    others = [other_label(task, row.label, rng) for row in drawn]
    rows = [relabelled(task, row, others[index]) if index in wrong else row for index, row in enumerate(drawn)]
    notes: dict[str, Any] = {}
    if run.arm in JUDGED:
        judged = judge_examples(task, rows, stub_judge(task, drawn, rng), run.arm, JUDGE_THRESHOLD)
        rows = list(judged.examples)
    truth = {row.id: row.label for row in drawn}
    notes["wrong_labels"] = round(float(np.mean([row.label != truth[row.id] for row in rows])), 3)
    return *hold_out(rows, HELD_OUT, run.seed), notes


def other_label(task: Task, label: str, rng: np.random.Generator) -> str:
    """Any of the other labels."""
    return str(rng.choice([name for name in task.label_names if name != label]))


def relabelled(task: Task, row: Example, label: str) -> Example:
    """The row with another label; in a regression with that level's score."""
    return replace(row, label=label, score=next(candidate.score for candidate in task.labels if candidate.name == label))


def stub_judge(task: Task, drawn: Sequence[Example], rng: np.random.Generator) -> dict[str, tuple[float, ...]]:
    """The answers of a judge that is right for JUDGE_ACCURACY of the rows, whatever their labels are now."""
    answers = {}
    for row in drawn:
        other = other_label(task, row.label, rng)
        believed = row.label if rng.random() < JUDGE_ACCURACY else other
        rest = (1 - JUDGE_ACCURACY) / (len(task.labels) - 1)
        answers[row.id] = tuple(JUDGE_ACCURACY if name == believed else rest for name in task.label_names)
    return answers


def shifted_priors(
    task: Task, gold: Sequence[Example], scored: Sequence[Example], run: Run
) -> tuple[Sequence[Example], Sequence[Example], dict[str, Any]]:
    """Rows with the condition's label frequencies, weighted by the arm's prior, and rows of the same frequencies to select on.

    The unlabelled texts for the estimate have the frequencies of the train split, and none of them is learned from.
    """
    rng = np.random.default_rng([run.seed, 2])
    shuffled = [gold[index] for index in rng.permutation(len(gold))]
    unlabelled, rest = shuffled[:NUM_UNLABELLED], shuffled[NUM_UNLABELLED:]
    taken = Counter({name: round(share * run.num_rows) for name, share in shifted(task, run.condition).items()})
    rows = []
    for row in rest:
        if taken[row.label] > 0:
            taken[row.label] -= 1
            rows.append(row)
    train, valid = hold_out(rows, HELD_OUT, run.seed)
    truth, own = counts_prior(task, scored), counts_prior(task, train)
    notes: dict[str, Any] = {"distance": round(distance(own, truth), 3)}
    if run.arm == "plain":
        return train, valid, notes
    if run.arm == "estimated":
        prior = estimate_prior(task, train, [row.texts for row in unlabelled])
    else:
        prior = uniform(task) if run.arm == "uniform" else truth
    return prior_weights(task, train, prior), valid, notes | {"distance": round(distance(prior, truth), 3)}


def shifted(task: Task, condition: str) -> dict[str, float]:
    """The label frequencies that a condition gives the training rows."""
    if condition == "reversed":
        return dict(zip(task.label_names, (0.2, 0.8), strict=True))
    if condition == "balanced":
        return uniform(task)
    shares = SKEW[task.name] ** np.arange(len(task.labels))
    return dict(zip(task.label_names, (shares / shares.sum()).tolist(), strict=True))


def distance(prior: dict[str, float], truth: dict[str, float]) -> float:
    """Total variation: the share of rows that would have to change their label, 0 to 1."""
    return sum(abs(prior[name] - truth[name]) for name in truth) / 2


def summarise(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A cell for each (task, part, condition, arm): mean and sd of the metric, and of its gain over the plain student of a seed."""
    cells: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for entry in found:
        cells.setdefault((entry["task"], entry["part"], entry["condition"], entry["arm"]), []).append(entry)
    summary = []
    for (task, part, condition, arm), entries in cells.items():
        values = [entry["value"] for entry in entries]
        cell: dict[str, Any] = {
            "task": task,
            "part": part,
            "condition": condition,
            "arm": arm,
            "values": [round(value, 4) for value in values],
        }
        cell |= {"mean": round(statistics.mean(values), 4), "sd": spread(values)}
        plain = {entry["seed"]: entry["value"] for entry in cells.get((task, part, condition, "plain"), ())}
        if plain and arm != "plain":
            gains = [entry["value"] - plain[entry["seed"]] for entry in entries]
            cell |= {"gain": round(statistics.mean(gains), 4), "gain_sd": spread(gains)}
        for name in ("rows", "wrong_labels", "distance"):
            if name in entries[0]:
                cell[name] = round(statistics.mean(entry[name] for entry in entries), 3)
        summary.append(cell)
    return summary


def spread(values: Sequence[float]) -> float | None:
    """The standard deviation (n - 1); None for one value."""
    return round(statistics.stdev(values), 4) if len(values) > 1 else None


def tables(report: dict[str, Any]) -> str:
    """Markdown: a table of each task and part; conditions across, arms down."""
    lines = []
    for part, heads in (("noise", "wrong labels"), ("prior", "training rows")):
        for task, about in report["tasks"].items():
            cells = {(cell["condition"], cell["arm"]): cell for cell in report["cells"] if (cell["task"], cell["part"]) == (task, part)}
            conditions, arms = (list(dict.fromkeys(key[index] for key in cells)) for index in (0, 1))
            conditions = [condition for condition in conditions if condition != ANY_NOISE]
            lines += [f"{task}, {about['split']} ({about['num_eval']} rows), {about['metric']}; {heads}:", ""]
            lines += [f"| | {' | '.join(conditions)} |", "|---" * (len(conditions) + 1) + "|"]
            for arm in arms:
                found = [cells.get((condition, arm)) or cells.get((ANY_NOISE, arm)) for condition in conditions]
                shown = [_cell(cell) if cell else "–" for cell in found]
                lines.append(f"| {arm} | {' | '.join(shown)} |")
            lines.append("")
    return "\n".join(lines)


def _cell(cell: dict[str, Any]) -> str:
    """Mean ± sd, and in brackets what the labels or the prior were then: share of wrong ones, or distance from the truth."""
    note = f"{cell['wrong_labels']:.0%}" if "wrong_labels" in cell else f"{cell['distance']:.2f}"
    return f"{cell['mean']:.3f} ± {cell['sd']:.3f} ({note})" if cell["sd"] is not None else f"{cell['mean']:.3f} ({note})"


def train_all(runs: Sequence[Run], processes: int, done: Path | None) -> list[dict[str, Any]]:
    """What `train_once` finds, in the runs' order; results in the file `done` are taken from there, new ones are appended."""
    known = {}
    if done is not None and done.exists():
        for line in done.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            known[Run(**{name: entry[name] for name in Run.__dataclass_fields__})] = entry
    todo = [run for run in runs if run not in known]
    started = time.monotonic()
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for number, (run, entry) in enumerate(zip(todo, pool.map(train_once, todo), strict=True), 1):
            known[run] = entry
            print(f"{number}/{len(todo)} {time.monotonic() - started:.0f} s: {json.dumps(entry)}", flush=True)
            if done is not None:
                with done.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(entry) + "\n")
    return [known[run] for run in runs]


def main() -> None:
    """Trains all students, writes the results and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=800, help="training rows of a student, its held-out tenth among them")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--done", type=Path, help="file of trainings done, one a line: they are not done again, and new ones are added")
    parser.add_argument("--quick", action="store_true", help="500 rows, 1 epoch, 1 seed, two noise levels; writes no file")
    parser.add_argument("--tables", action="store_true", help="only print the tables of the results that are there")
    args = parser.parse_args()
    if args.tables:
        print(tables(json.loads(OUT.read_text(encoding="utf-8"))))
        return
    seeds, noise, num_rows, epochs = (SEEDS[:1], (0.0, 0.4), 500, 1) if args.quick else (SEEDS, NOISE, args.rows, args.epochs)
    runs = all_runs(args.tasks, noise, seeds, num_rows, epochs)
    found = train_all(runs, args.processes, args.done)
    report = describe(args.tasks, seeds, num_rows, epochs, args.processes)
    report |= {"trainings": len(runs), "seconds": round(sum(entry["seconds"] for entry in found)), "cells": summarise(found)}
    if not args.quick:
        OUT.write_text(json.dumps(report, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(tables(report))


def describe(tasks: Sequence[str], seeds: Sequence[int], num_rows: int, epochs: int, processes: int) -> dict[str, Any]:
    """Settings, versions and machine."""
    about = {name: {"split": "valid", "metric": load_task(name).metric, "num_eval": len(gold_rows(name)[1])} for name in tasks}
    settings: dict[str, Any] = {"encoder": demo_encoder().name, "precision": "bf16-mixed", "max_length": MAX_LENGTH, "rows": num_rows}
    settings |= {"epochs": epochs, "learning_rate": demo_encoder().learning_rate, "batch_size": Train().batch_size, "held_out": HELD_OUT}
    settings |= {"judge_accuracy": JUDGE_ACCURACY, "judge_threshold": JUDGE_THRESHOLD, "unlabelled": NUM_UNLABELLED, "skew": SKEW}
    settings |= {"trained": TRAINED}
    machine = {"cpu": _cpu(), "cores": os.cpu_count(), "processes": processes, "threads_each": 1}
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "pytorch-lightning", "scikit-learn", "numpy")}
    versions["python"] = platform.python_version()
    return {"tasks": about, "settings": settings, "seeds": list(seeds), "machine": machine, "versions": versions}


def _cpu() -> str:
    found = [
        line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if "model name" in line
    ]
    return found[0] if found else platform.machine()


if __name__ == "__main__":
    main()
