"""How fast `japagen predict` labels lines, beside what one would write with transformers: lines a second of whole commands.

    python benchmarks/predict.py [--lines 10000] [--rounds 3]

Makes lines of varied length out of tables of words (seeded) and a classifier (the shipped encoder with a random head: what it says means
nothing, but it costs what a student costs). Each round runs, one after the other and each as a process of its own, started from nothing:
`japagen predict` (a), a loop of `transformers.pipeline` line by line (b), and the pipeline over all lines with batch_size=64 (c). All three
read the same file, write label and confidence of every line into a CSV, and take the same device and number of threads. `seconds` are those
of the whole process, start and loading included; `labelling` leaves those out: the time of the same command for one line is subtracted.
Labels must agree but for ties within 1e-3. Writes benchmarks/results/predict.json.
"""

import argparse
import csv
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measuring import ROOT, machine, write_result

ENCODER = ROOT / "japagen" / "demo" / "encoder"
LABELS = ("positive", "negative", "neutral")
MAX_LENGTH = 128
TIE = 1e-3
BATCH_SIZE = 64

WHO = "店員さん|父|隣の人|妹|担当の方|友だち|先生|同僚|祖母|配達の人"
WHAT = "新しい傘|小さな鞄|木の椅子|青い茶碗|古い時計|薄い本|長靴|電気ポット|布団|掃除機"
HOW = "思ったより軽くて使いやすい|すぐに壊れてしまった|色が写真と違っていた|とても気に入っている|音が大きいのが気になる|値段のわりに丈夫だ"
THEN = "また買いたいです|返品しました|友だちにもすすめました|もう少し様子を見ます|説明書がわかりにくいです|毎日使っています"


def main() -> None:
    """Makes lines and classifier, measures all three in turn, and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--pipeline", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.pipeline:
        run_pipeline(*args.pipeline)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_classifier(folder / "student")
        texts = make_lines(args.lines)
        (folder / "lines.txt").write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        (folder / "one.txt").write_text(f"{texts[0]}\n", encoding="utf-8")
        report = {
            "lines": args.lines,
            "characters": {"mean": round(statistics.mean(map(len, texts)), 1), "longest": max(map(len, texts))},
            "classifier": f"{ENCODER.relative_to(ROOT)}, random head, {MAX_LENGTH} tokens",
            "machine": machine("torch", "transformers", "tokenizers") | device_of(args.device),
            **measure(folder, args.rounds, args.device, args.lines),
        }
    write_result("predict", report)


def measure(folder: Path, rounds: int, device: str, num_lines: int) -> dict[str, Any]:
    """Seconds of every run in their order, medians, and ratios to the loop of pipeline calls."""
    commands = {
        "japagen predict": [sys.executable, "-m", "japagen", "predict", "{student}", "{lines}", "--out", "{out}", "--device", device],
        **{
            name: [sys.executable, __file__, "--pipeline", "{student}", "{lines}", "{out}", device, batch_size]
            for name, batch_size in {"pipeline, line by line": "0", f"pipeline, batch_size={BATCH_SIZE}": str(BATCH_SIZE)}.items()
        },
    }
    runs: dict[str, dict[str, list[float]]] = {name: {"seconds": [], "seconds for one line": [], "load": []} for name in commands}
    labels: dict[str, list[tuple[str, float]]] = {}
    for _ in range(rounds):
        for name, command in commands.items():
            runs[name]["load"].append(round(os.getloadavg()[0], 1))
            runs[name]["seconds for one line"].append(run(command, folder, "one.txt"))
            runs[name]["seconds"].append(run(command, folder, "lines.txt"))
            labels[name] = read_labels(folder / "out.csv")
            print(name, {what: values[-1] for what, values in runs[name].items()}, file=sys.stderr, flush=True)
    rates = {name: rate(found, num_lines) for name, found in runs.items()}
    base = rates["pipeline, line by line"]
    return {
        "runs": runs,
        "lines a second (median)": rates,
        "times the loop": {name: {what: round(found[what] / base[what], 2) for what in base} for name, found in rates.items()},
        "labels that differ": {name: differing(found, labels["pipeline, line by line"]) for name, found in labels.items()},
    }


def rate(found: dict[str, list[float]], num_lines: int) -> dict[str, float]:
    """Lines a second of the whole command, and without start and loading (too few lines, or a busy machine, make that worthless)."""
    labelling = [whole - start for whole, start in zip(found["seconds"], found["seconds for one line"], strict=True)]
    return {
        "whole command": round(num_lines / statistics.median(found["seconds"]), 1),
        "labelling": round((num_lines - 1) / max(statistics.median(labelling), 1e-9), 1),
    }


def run(command: Sequence[str], folder: Path, lines: str) -> float:
    """Seconds of one process from start to end."""
    paths = {"student": folder / "student", "lines": folder / lines, "out": folder / "out.csv"}
    filled = [part.format(**paths) if part.startswith("{") else part for part in command]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
    started = time.monotonic()
    done = subprocess.run(filled, env=environment, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    seconds = round(time.monotonic() - started, 2)
    if done.returncode != 0:
        sys.exit(f"{' '.join(filled)} ended with code {done.returncode}:\n{done.stderr[-2000:]}")
    return seconds


def run_pipeline(student: str, lines: str, out: str, device: str, batch_size: str) -> None:
    """What one would write with transformers alone; batch size 0: one line a call."""
    from transformers import pipeline

    classify = pipeline("text-classification", model=student, device=device)
    texts = Path(lines).read_text(encoding="utf-8").splitlines()
    if int(batch_size):
        found = classify(texts, batch_size=int(batch_size), truncation=True)
    else:
        found = [classify(text, truncation=True)[0] for text in texts]
    with Path(out).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", "confidence"])
        writer.writerows([text, prediction["label"], prediction["score"]] for text, prediction in zip(texts, found, strict=True))


def read_labels(path: Path) -> list[tuple[str, float]]:
    """Label and confidence of every line."""
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["label"], float(row["confidence"])) for row in csv.DictReader(file)]


def differing(found: Sequence[tuple[str, float]], expected: Sequence[tuple[str, float]]) -> int:
    """Lines whose label or confidence is another; a tie of two labels may fall either way."""
    assert len(found) == len(expected), f"{len(found)} lines labelled, not {len(expected)}"
    close = [math.isclose(prediction[1], expectation[1], abs_tol=TIE) for prediction, expectation in zip(found, expected, strict=True)]
    ties = [expectation[1] < 0.5 + TIE for expectation in expected]
    return sum(
        not near or (prediction[0] != expectation[0] and not tie)
        for near, tie, prediction, expectation in zip(close, ties, found, expected, strict=True)
    )


def make_lines(num: int) -> list[str]:
    """Lines of one to six sentences, short ones more often, as reviews and posts are."""
    rng = random.Random(num)
    lines = []
    for _ in range(num):
        sentences = [
            f"{pick(rng, WHO)}がくれた{pick(rng, WHAT)}は{pick(rng, HOW)}ので、{rng.randrange(2, 400)}日後に{pick(rng, THEN)}。"
            for _ in range(min(6, 1 + int(rng.expovariate(0.8))))
        ]
        line = "".join(sentences)
        lines.append(line[rng.randrange(0, 20) :])
    return lines


def pick(rng: random.Random, words: str) -> str:
    return rng.choice(words.split("|"))


def make_classifier(folder: Path) -> None:
    """The shipped encoder with a seeded random head, drawn wide so that its labels differ."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    config = AutoConfig.from_pretrained(ENCODER)
    names = dict(enumerate(LABELS))
    config.update({"id2label": names, "label2id": {name: index for index, name in names.items()}, "dtype": "float32"})
    config.problem_type = "single_label_classification"
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(ENCODER, config=config, dtype=torch.float32)
    with torch.no_grad():
        model.classifier.weight.mul_(20)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(ENCODER, model_max_length=MAX_LENGTH).save_pretrained(folder)


def device_of(device: str) -> dict[str, Any]:
    """Where students run, and on how many threads."""
    import torch

    gpu = {"gpu": torch.cuda.get_device_name()} if device == "cuda" else {}
    return {"device": device, **gpu, "threads": torch.get_num_threads()}


if __name__ == "__main__":
    main()
