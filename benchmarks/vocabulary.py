"""Samples a second of training on the tokens that occur, beside training the whole embedding table with the optimiser as it comes.

    python benchmarks/vocabulary.py FOLDER [--rows 512] [--rounds 3]

FOLDER: an encoder, e.g. multilingual-e5-small. Each round trains two students of the same rows (pairs of sentences from a table of words,
seeded) in turn: as a run does (`japagen.training.vocabulary`, fused AdamW), and with neither. Both are timed by `Fit.seconds`; the ratio is
the median of the rounds'. Writes benchmarks/results/vocabulary.json.
"""

import argparse
import random
import statistics
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from measuring import machine, write_result

from japagen.config.schema import Encoder, Train
from japagen.hub.models import resolve_revision
from japagen.tasks import Example, Label, Task
from japagen.training import student
from japagen.training.classifier import Classifier
from japagen.training.student import train_student

NOUNS = [
    "公園",
    "海辺",
    "台所",
    "駅",
    "教室",
    "男性",
    "女性",
    "子供",
    "犬",
    "猫",
    "自転車",
    "電車",
    "花",
    "料理",
    "帽子",
    "傘",
    "本",
    "机",
    "窓",
    "道路",
]
VERBS = ["走っています", "座っています", "食べています", "眺めています", "並んでいます", "置かれています", "眠っています", "歩いています"]
TASK = Task(name="pairs", kind="pair", fields=["a", "b"], system="s", labels=[Label(name, "書く") for name in ("same", "other")])


class Whole:
    """A Vocabulary that changes nothing."""

    def __init__(self, *parts: object) -> None: ...

    def put_back(self, model: object, decay: float) -> None: ...


def plain_optimizer(module: Classifier) -> Any:
    """The module's optimiser and schedule, without the fused kernel."""
    found = fused(module)
    for group in found["optimizer"].param_groups:
        group["fused"] = None
    return found


fused = Classifier.configure_optimizers


def rows(num: int) -> list[Example]:
    """Pairs whose label is whether their verbs are the same."""
    rng, found = random.Random(0), []
    for number in range(num):
        verbs = [rng.choice(VERBS)] * 2 if number % 2 else rng.sample(VERBS, 2)
        texts = [f"{rng.choice(NOUNS)}の{rng.choice(NOUNS)}のそばで{rng.choice(NOUNS)}が{verb}。" for verb in verbs]
        found.append(Example((texts[0], texts[1]), "same" if number % 2 else "other", id=str(number)))
    return found


def samples_per_s(folder: Path, examples: list[Example], is_reduced: bool) -> float:
    """Rows trained on in a second of a student's training."""
    encoder = Encoder(name=folder.name, id=str(folder), max_length=64)
    train = Train(batch_size=32, learning_rate=2e-5, steps=max(1, len(examples) // 32))
    with tempfile.TemporaryDirectory() as out, tempfile.TemporaryDirectory() as work:
        arguments = TASK, encoder, str(folder), resolve_revision(str(folder), None, "model.id"), train, examples, (), 0
        if is_reduced:
            fit = train_student(*arguments, Path(out), Path(work), device="cpu")
        else:
            with patch.object(student, "Vocabulary", Whole), patch.object(Classifier, "configure_optimizers", plain_optimizer):
                fit = train_student(*arguments, Path(out), Path(work), device="cpu")
    return fit.samples / fit.seconds


def main() -> None:
    """Measures and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    examples = rows(arguments.rows)
    rounds = [
        {name: samples_per_s(arguments.folder, examples, name == "reduced") for name in ("whole", "reduced")}
        for _ in range(arguments.rounds)
    ]
    ratio = statistics.median(found["reduced"] / found["whole"] for found in rounds)
    report = {"machine": machine(), "threads": torch.get_num_threads(), "encoder": arguments.folder.name, "rows": arguments.rows}
    write_result("vocabulary", report | {"rounds": rounds, "ratio": round(ratio, 2)})


if __name__ == "__main__":
    main()
