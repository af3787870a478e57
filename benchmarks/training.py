"""How fast students are trained, beside Hugging Face's Trainer: samples a second on the same model, data and settings.

    python benchmarks/training.py [--encoders demo mid] [--rows 800] [--epochs 1] [--rounds 3]
    python benchmarks/training.py --device cuda --precision bf16 --encoders bert-base --peak-tflops 989 [--packed 4]

Makes texts of varied length out of tables of words (seeded); the label says whether more of a text's sentences praise or blame, and a
twentieth of the labels are wrong. Each round trains with one seed, one process after the other: `train_student` as a run calls it, Trainer
with japagen's batches, Trainer with `group_by_length`, and Trainer as it comes; padding per batch, AdamW, learning rate, epochs,
validations and checkpoints are the same, and so are precision and threads. How threads wait for each other on the CPU is not: ours sleep,
which is slower on free cores and faster where other processes run, Trainer's spin as torch's do; so both are measured both ways.
`samples a second` are those of the call that trains, of its steps alone (validations and checkpoints left out) and of the whole process;
`accuracy` is that on held-out rows whose labels are right. Encoders other than the shipped one have random weights.

The model FLOPs utilisation is 6 x parameters (without embeddings) x tokens (without padding) / seconds of the steps / peak: --peak-tflops,
or else what multiplying large matrices reaches here. --packed K trains K of our students one after another and then at once. Trainer needs
the package accelerate, which isn't japagen's: it is installed into the folder --environment, which only Trainer's processes see.
Writes benchmarks/results/training.json, on a GPU training-cuda.json.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from measuring import ROOT, Cost, machine, run_command, write_result
from predict import ENCODER, THEN, WHAT, WHO, device_of, pick
from training_run import DEFAULT, GROUPED, LABELS, MAX_LENGTH, OURS, SAME_BATCHES, Spec

REQUIREMENTS = ROOT / "benchmarks" / "training-requirements.txt"
SLEEPING, SPINNING = {"OMP_WAIT_POLICY": "PASSIVE"}, {"OMP_WAIT_POLICY": "ACTIVE"}
KINDS: dict[str, tuple[str, dict[str, str]]] = {
    OURS: (OURS, {}),
    f"{SAME_BATCHES}, sleeping": (SAME_BATCHES, SLEEPING),
    f"{GROUPED}, sleeping": (GROUPED, SLEEPING),
    f"{OURS}, spinning": (OURS, SPINNING),
    SAME_BATCHES: (SAME_BATCHES, {}),
    GROUPED: (GROUPED, {}),
    DEFAULT: (DEFAULT, {}),
}
"""What is trained with, and how its threads wait, where that isn't as it comes."""
PAIRS = (
    (OURS, f"{SAME_BATCHES}, sleeping"),
    (OURS, f"{GROUPED}, sleeping"),
    (f"{OURS}, spinning", SAME_BATCHES),
    (f"{OURS}, spinning", GROUPED),
    (OURS, SAME_BATCHES),
    (OURS, GROUPED),
    (OURS, DEFAULT),
)
NUM_TEST = 500
WRONG = 0.05
SHAPES = {"toy": (2, 64, 2, 5824), "mid": (6, 512, 8, 5824), "bert-base": (12, 768, 12, 32768)}
"""Layers, width, heads and vocabulary of the encoders with random weights."""
GOOD = "思ったより軽くて使いやすい|とても気に入っている|値段のわりに丈夫だ|手ざわりがよくて飽きない"
BAD = "すぐに壊れてしまった|色が写真と違っていた|音が大きいのが気になる|においがなかなか取れない"


def main() -> None:
    """Makes data and encoders, measures all kinds in turn, and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", nargs="+", choices=("demo", *SHAPES), default=["demo"])
    parser.add_argument("--rows", type=int, default=800, help="labelled texts; a tenth of them validates")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--rounds", type=int, default=1, help="each with a seed of its own")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--peak-tflops", type=float, help="of the chip at this precision (default: measured)")
    parser.add_argument("--packed", type=int, metavar="K", help="also train K of our students at once")
    parser.add_argument("--environment", type=Path, default=ROOT / "outputs" / "benchmarks" / "trainer", help="where accelerate is put")
    args = parser.parse_args()
    install(args.environment)
    args.peak_tflops = args.peak_tflops or round(multiply_tflops(args.device, args.precision, args.threads), 4)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data.json").write_text(json.dumps(make_data(args.rows)), encoding="utf-8")
        settings = {name: value for name, value in vars(args).items() if name not in ("encoders", "environment", "packed")}
        report = {
            "settings": settings,
            "machine": machine("torch", "transformers", "pytorch-lightning") | device_of(args.device) | {"threads": args.threads},
            "requirements": [line for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines() if not line.startswith("#")],
            "encoders": {encoder: measure(args, folder, encoder) for encoder in args.encoders},
        }
    write_result("training" if args.device == "cpu" else "training-cuda", report)


def install(environment: Path) -> None:
    """Puts what Trainer lacks into `environment`, once."""
    wanted = REQUIREMENTS.read_bytes()
    done = environment / REQUIREMENTS.name
    if done.is_file() and done.read_bytes() == wanted:
        return
    options = ["-q", "--no-deps", "--upgrade", "--target", str(environment)]
    if subprocess.run([sys.executable, "-m", "pip", "install", *options, "-r", str(REQUIREMENTS)], check=False).returncode != 0:
        sys.exit(f"{REQUIREMENTS.name} can't be installed into {environment}; Trainer needs it")
    done.write_bytes(wanted)


def measure(args: argparse.Namespace, folder: Path, encoder: str) -> dict[str, Any]:
    """All rounds of all kinds for one encoder."""
    path = ENCODER if encoder == "demo" else make_encoder(folder / encoder, *SHAPES[encoder])
    kinds = {kind: how for kind, how in KINDS.items() if args.device == "cpu" or not how[1]}
    runs: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    num_params = count_params(path)
    for seed in range(args.rounds):
        for kind, (trainer, waiting) in kinds.items():
            runs[kind].append(train(args, folder, make_spec(args, folder, path, trainer, seed), waiting, num_params))
            print(encoder, kind, runs[kind][-1], file=sys.stderr, flush=True)
    summary = {kind: summarise(found) for kind, found in runs.items()}
    report: dict[str, Any] = {
        "parameters without embeddings": num_params,
        "kinds": summary,
        "times": {f"{first} / {second}": compare(runs[first], runs[second]) for first, second in PAIRS if {first, second} <= set(kinds)},
    }
    if args.packed:
        report["packed"] = pack(args, folder, path)
    return report | {"runs": runs}


def make_spec(args: argparse.Namespace, folder: Path, path: Path, kind: str, seed: int) -> Spec:
    """A training of this benchmark."""
    out = tempfile.mkdtemp(dir=folder)
    shared = (args.epochs, args.batch_size, args.learning_rate, seed, args.device, args.precision)
    return Spec(kind, str(path), str(folder / "data.json"), f"{out}/student", *shared)


def run(spec: Spec, environment: Path, threads: int, waiting: Mapping[str, str]) -> tuple[dict[str, Any], Cost]:
    """One process from start to end: what it wrote, and its cost."""
    spec_path = Path(f"{spec.out}.spec.json")
    spec_path.write_text(json.dumps(asdict(spec)), encoding="utf-8")
    paths = [str(ROOT)] if spec.kind == OURS else [str(ROOT), str(environment)]
    variables = {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": str(threads)}
    variables |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true", **waiting}
    cost = run_command([sys.executable, str(ROOT / "benchmarks" / "training_run.py"), str(spec_path)], variables, timeout_s=3600)
    return json.loads(Path(f"{spec.out}.json").read_text(encoding="utf-8")), cost


def train(args: argparse.Namespace, folder: Path, spec: Spec, waiting: Mapping[str, str], num_params: int) -> dict[str, Any]:
    """One training: samples a second, seconds of its parts, score, cost."""
    found, cost = run(spec, args.environment, args.threads, waiting)
    data = json.loads((folder / "data.json").read_text(encoding="utf-8"))
    samples, seconds = len(data["train"]) * args.epochs, found["seconds"]
    steps = seconds["loop"] - seconds["validation"] - seconds["checkpoints"]
    flops = 6 * num_params * found["tokens"]["real"]
    return {
        "seed": spec.seed,
        "samples a second": {
            what: round(samples / value, 1) for what, value in (("loop", seconds["loop"]), ("steps", steps), ("process", cost.seconds))
        },
        "padded tokens a second": round(found["tokens"]["padded"] / steps),
        "share of padding": round(1 - found["tokens"]["real"] / found["tokens"]["padded"], 3),
        "model FLOPs utilisation": round(flops / steps / (args.peak_tflops * 1e12), 4),
        "seconds": {name: round(value, 2) for name, value in seconds.items()} | {"process": cost.seconds},
        "accuracy": accuracy(Path(spec.out), data["test"], args.device),
        "cost": asdict(cost),
    }


def summarise(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Medians of the rates, mean and standard deviation of the scores."""
    scores = [run["accuracy"] for run in found]
    return {
        "samples a second (median)": {
            what: round(statistics.median(run["samples a second"][what] for run in found), 1) for what in found[0]["samples a second"]
        },
        **{
            f"{what} (median)": statistics.median(run[what] for run in found)
            for what in ("padded tokens a second", "share of padding", "model FLOPs utilisation")
        },
        "CPU seconds (median)": statistics.median(run["cost"]["cpu_seconds"] for run in found),
        "accuracy (mean)": round(statistics.mean(scores), 4),
        "accuracy (sd)": round(statistics.stdev(scores), 4) if len(scores) > 1 else None,
    }


def compare(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Our rates by theirs, round by round."""
    pairs = list(zip(ours, theirs, strict=True))
    rates = {
        what: [run["samples a second"][what] / other["samples a second"][what] for run, other in pairs]
        for what in ("loop", "steps", "process")
    }
    rates["padded tokens"] = [run["padded tokens a second"] / other["padded tokens a second"] for run, other in pairs]
    return {
        what: {"median": round(statistics.median(found), 3), "rounds": [round(value, 3) for value in found]}
        for what, found in rates.items()
    }


def pack(args: argparse.Namespace, folder: Path, path: Path) -> dict[str, Any]:
    """Seconds for K students one after another, each with all threads, and for K at once, which share them."""
    specs = [[make_spec(args, folder, path, OURS, seed) for seed in range(args.packed)] for _ in range(2)]
    started = time.monotonic()
    for spec in specs[0]:
        run(spec, args.environment, args.threads, {})
    one_after_another = time.monotonic() - started
    started = time.monotonic()
    with ThreadPoolExecutor(args.packed) as pool:
        list(pool.map(lambda spec: run(spec, args.environment, max(1, args.threads // args.packed), {}), specs[1]))
    at_once = time.monotonic() - started
    seconds = {"one after another": round(one_after_another, 2), "at once": round(at_once, 2)}
    return {"students": args.packed, "seconds": seconds, "times faster": round(one_after_another / at_once, 3)}


def multiply_tflops(device: str, precision: str, threads: int) -> float:
    """10^12 floating point operations a second of large matrices' products: the best of several."""
    import torch

    torch.set_num_threads(threads)
    size = 2048 if device == "cpu" else 8192
    matrix = torch.randn(size, size, device=device, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
    seconds = []
    for _ in range(10):
        started = time.perf_counter()
        product = matrix @ matrix
        product[0, 0].item()  # waits for a GPU
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / min(seconds) / 1e12


def accuracy(student: Path, rows: Sequence[tuple[str, str]], device: str) -> float:
    """Share of held-out rows that the student labels rightly."""
    from japagen.training.prediction import predict

    os.environ.pop("OMP_WAIT_POLICY", None)  # set by that import, and not to be handed to the next process
    found = predict(student, [(text,) for text, _ in rows], device, max_length=MAX_LENGTH).argmax(axis=1)
    return round(statistics.mean(LABELS[index] == label for index, (_, label) in zip(found, rows, strict=True)), 4)


def make_data(num: int) -> dict[str, list[tuple[str, str]]]:
    """Texts of one to six sentences with their labels: `num` to train and validate on, and held-out ones whose labels are all right."""
    rng = random.Random(num)
    rows = [make_row(rng) for _ in range(num + NUM_TEST)]
    train = [(text, rng.choice(LABELS) if rng.random() < WRONG else label) for text, label in rows[NUM_TEST:]]
    return {"test": rows[:NUM_TEST], "valid": train[: num // 10], "train": train[num // 10 :]}


def make_row(rng: random.Random) -> tuple[str, str]:
    """A text, and whether more of its sentences praise or blame."""
    praise = [rng.random() < 0.5 for _ in range(min(6, 1 + int(rng.expovariate(0.8))))]
    sentences = [
        f"{pick(rng, WHAT)}は{pick(rng, GOOD if good else BAD)}ので、{rng.randrange(2, 400)}日後に{pick(rng, THEN)}。" for good in praise
    ]
    text = "".join(f"{pick(rng, WHO)}がくれた{sentence}" for sentence in sentences)
    balance = sum(praise) * 2 - len(praise)
    return text, "good" if balance > 0 else "bad" if balance < 0 else "mixed"


def make_encoder(folder: Path, layers: int, width: int, heads: int, vocabulary: int) -> Path:
    """A BERT with random weights and the shipped tokenizer."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertModel

    tokenizer = AutoTokenizer.from_pretrained(ENCODER)
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        pad_token_id=tokenizer.pad_token_id,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def count_params(encoder: Path) -> int:
    """Parameters that multiply: all but the embeddings."""
    from transformers import AutoModel

    model = AutoModel.from_pretrained(encoder)
    return sum(parameter.numel() for name, parameter in model.named_parameters() if "embeddings" not in name)


if __name__ == "__main__":
    main()
