"""Trains the run that a JSON file describes, and sends itself a signal when a validation has been told.

Run by test_resume.py in a process of its own: `python interrupted.py SPEC.json`.
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch

from japagen.config.schema import Encoder, Train
from japagen.tasks import Label, Task, example_from_json
from japagen.training.student import train_student


def main(spec_path: str) -> None:
    spec = json.loads(Path(spec_path).read_text(encoding="utf-8"))
    torch.set_num_threads(1)
    validations = 0

    def on_metrics(metrics: dict[str, float], step: int) -> None:
        nonlocal validations
        validations += "valid/loss" in metrics
        if validations == spec["validations"]:
            os.kill(os.getpid(), signal.Signals[spec["signal"]])

    task = Task(**spec["task"] | {"labels": [Label(**label) for label in spec["task"]["labels"]]})
    rows, valid = ([example_from_json(row) for row in spec[part]] for part in ("rows", "valid"))
    train_student(
        task, Encoder(**spec["encoder"]), spec["encoder_path"], None, Train(**spec["train"]), rows, valid, spec["seed"],
        Path(spec["out"]), Path(spec["work"]), on_metrics, device="cpu",
    )  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1])
