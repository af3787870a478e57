"""Near duplicates beside distilabel's MinHash step: seconds, CPU and memory, and what each drops or keeps wrongly.

    python benchmarks/near.py [--rows 20000] [--rounds 3] [--environment FOLDER]

Both get the same texts in the same order, the same threshold and the same character 3-grams, and keep of near duplicates the first. The
texts are those of benchmarks/filters.py; 5% repeat one of the 20,000 before them and 20% are one with one to eight characters changed, so
that similarities lie on both sides of the threshold. distilabel's step is called directly (`step`: no pipeline around it, which is to its
favour) and as its documentation does (`pipeline`: processes of its own); its settings are its defaults but for tokenizer, n and threshold.
It compares estimates: what shares a band of 128 values is dropped, without a look at the texts. Ours looks.

On the first 10,000 texts all similarities are computed exactly: `dropped wrongly` counts texts that are not as similar as the threshold
to any text kept before them, `kept wrongly` those that are. distilabel's environment is made from benchmarks/peers/distilabel-minhash.txt
where FOLDER isn't there (minutes, 1 GB). Writes benchmarks/results/near.json.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from filters import EDITS, compose_text
from measuring import ROOT, machine, run_command, write_result
from scipy.sparse import csr_array

from japagen.curation.near import NGRAM, NearDuplicates
from japagen.prompts.replies import normalise

PEERS = ROOT / "benchmarks" / "peers"
THRESHOLD = 0.8
"""Ours by default (`curate.near_duplicates`)."""
NUM_CHECKED = 10_000
"""First texts of which all pairs are compared exactly."""
MOST_EDITS = 8
STEPS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.01)
"""Edges of the similarity's bins in which wrong decisions are counted."""
_CHUNK = 250


def main() -> None:
    """Makes the texts, gives them to each in turn, compares with the exact answer, and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--environment", type=Path, default=ROOT / "build" / "peers" / "distilabel-minhash")
    parser.add_argument("--ours", type=Path, nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.ours:
        do_ours(*args.ours)
        return
    python = make_environment(args.environment)
    texts = make_texts(args.rows)
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder) / "texts.json", Path(folder) / "out.json"
        given.write_text(json.dumps(texts, ensure_ascii=False), encoding="utf-8")
        peer = [str(python), str(PEERS / "distilabel_minhash.py"), str(given), str(out), str(THRESHOLD), str(NGRAM)]
        commands = {
            "ours": [sys.executable, __file__, "--ours", str(given), str(out)],
            "distilabel step": [*peer, "step"],
            "distilabel pipeline": [*peer, "pipeline"],
        }
        runs: dict[str, list[dict[str, Any]]] = {name: [] for name in commands}
        for turn in range(args.rounds):
            for name in sorted(commands, reverse=turn % 2 == 1):
                cost = run_command(commands[name])
                runs[name].append(json.loads(out.read_text(encoding="utf-8")) | {"process": asdict(cost)})
                print(name, cost, file=sys.stderr, flush=True)
    checked = texts[:NUM_CHECKED]
    answers = {name: ones[0]["kept"][:NUM_CHECKED] for name, ones in runs.items()}
    report = {
        "rows": args.rows,
        "mean characters": round(statistics.mean(map(len, texts)), 1),
        "threshold": THRESHOLD,
        "ngram": NGRAM,
        "rounds": args.rounds,
        "machine": machine("datasketch", "numpy"),
        "distilabel": versions(python, "distilabel", "datasketch", "numpy"),
        "runs": {name: summary(ones) for name, ones in runs.items()},
        "ours by theirs": {name: compare(runs["ours"], ones) for name, ones in runs.items() if name != "ours"},
        "decisions": {"texts": len(checked), **judge(checked, answers)},
    }
    write_result("near", report)


def make_environment(folder: Path) -> Path:
    """The interpreter of distilabel's environment, which is made where it isn't there."""
    python, mark = folder / "bin" / "python", folder / "complete"
    if not mark.is_file():
        venv.create(folder, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "-r", str(PEERS / "distilabel-minhash.txt")]
        subprocess.run(command, check=True)
        mark.touch()
    return python


def versions(python: Path, *packages: str) -> dict[str, str]:
    """Versions of packages in another environment."""
    code = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    found = subprocess.run([str(python), "-c", code, *packages], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    return dict(zip(packages, found, strict=True))


def make_texts(num: int) -> list[str]:
    """`num` texts of one label, in the form in which they are compared; seeded."""
    rng, earlier, texts = random.Random(num), deque[str](maxlen=20_000), []
    while len(texts) < num:
        kind = rng.choices(["new", "repeated", "edited"], [0.75, 0.05, 0.20])[0]
        if kind == "new" or not earlier:
            earlier.append(compose_text(rng, "opinion"))
            text = earlier[-1]
        else:
            text = rng.choice(earlier)
            for _ in range(rng.randint(1, MOST_EDITS) if kind == "edited" else 0):
                index = rng.randrange(len(text))
                text = text[:index] + rng.choice(EDITS) + text[index + 1 :]
        texts.append(normalise(text))
    return texts


def do_ours(given: Path, out: Path) -> None:
    """What distilabel_minhash.py does, with our index."""
    texts = json.loads(given.read_text(encoding="utf-8"))
    began, cpu_began = time.perf_counter(), time.process_time()
    near = NearDuplicates(THRESHOLD)
    kept = [near.takes(text) for text in texts]
    seconds = {"seconds": time.perf_counter() - began, "cpu seconds": time.process_time() - cpu_began}
    out.write_text(json.dumps({"kept": kept, **seconds}), encoding="utf-8")


def summary(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Spread of the rounds: from the texts to the answer, and of the whole process with imports."""
    found: dict[str, Any] = {name: spread([run[name] for run in runs]) for name in ("seconds", "cpu seconds")}
    process = {name: spread([run["process"][name] for run in runs]) for name in ("seconds", "cpu_seconds", "peak_mb")}
    return found | {"whole process": process, "kept": sum(runs[0]["kept"]), "the same in all rounds": all_same(runs)}


def all_same(runs: Sequence[dict[str, Any]]) -> bool:
    return all(run["kept"] == runs[0]["kept"] for run in runs)


def compare(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Ratios, round by round: of seconds from texts to answer, and of CPU seconds and memory of whole processes."""
    pairs = list(zip(ours, theirs, strict=True))
    ratios = {"seconds": spread([run["seconds"] / other["seconds"] for run, other in pairs])}
    for name in ("cpu_seconds", "peak_mb"):
        ratios[f"{name} of the process"] = spread([run["process"][name] / other["process"][name] for run, other in pairs])
    return ratios


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and most."""
    return {"median": round(statistics.median(values), 3), "least": round(min(values), 3), "most": round(max(values), 3)}


def judge(texts: Sequence[str], answers: dict[str, Sequence[bool]]) -> dict[str, Any]:
    """Which of each tool's decisions are wrong, by the highest similarity to a text that it kept before."""
    highest = {name: np.zeros(len(texts)) for name in answers}
    kept = {name: np.array(flags) for name, flags in answers.items()}
    grams = incidence(texts)
    sizes = np.diff(grams.indptr)
    num_pairs = 0
    for start in range(0, len(texts), _CHUNK):
        end = min(start + _CHUNK, len(texts))
        shared = (grams[start:end] @ grams[:end].T).toarray()
        similarity = np.tril(shared / (sizes[start:end, None] + sizes[None, :end] - shared), start - 1)
        num_pairs += int((similarity >= THRESHOLD).sum())
        for name in answers:
            highest[name][start:end] = np.where(kept[name][None, :end], similarity, 0.0).max(axis=1)
    return {"pairs at or above the threshold": num_pairs} | {name: decisions(highest[name], kept[name]) for name in answers}


def incidence(texts: Sequence[str]) -> csr_array:
    """(texts, grams): 1 where the text has the gram."""
    numbers: dict[str, int] = {}
    ends, columns = [0], []
    for text in texts:
        own = {text[start : start + NGRAM] for start in range(len(text) - NGRAM + 1)}
        columns += [numbers.setdefault(gram, len(numbers)) for gram in own]
        ends.append(len(columns))
    return csr_array((np.ones(len(columns)), columns, ends), shape=(len(texts), len(numbers)))


def decisions(highest: np.ndarray, kept: np.ndarray) -> dict[str, Any]:
    """Counts of right and wrong ones; wrong ones also by similarity."""
    is_near = highest >= THRESHOLD
    wrong = {"dropped wrongly": ~kept & ~is_near, "kept wrongly": kept & is_near}
    found: dict[str, Any] = {"near duplicates": int(is_near.sum()), "dropped rightly": int((~kept & is_near).sum())}
    for name, mask in wrong.items():
        counts, _ = np.histogram(highest[mask], STEPS)
        steps = {f"{low:.2f} to {min(high, 1):.2f}": int(num) for low, high, num in zip(STEPS, STEPS[1:], counts, strict=False) if num}
        found |= {name: int(mask.sum()), f"{name}, by similarity": steps}
    return found


if __name__ == "__main__":
    main()
