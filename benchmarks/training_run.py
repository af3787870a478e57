"""One training in a process of its own, for benchmarks/training.py: as a run of japagen does it, or with Hugging Face's Trainer.

    python benchmarks/training_run.py SPEC.json

In: a JSON file with the fields of `Spec`. Out: the student's folder `spec.out`, and beside it `<out>.json` with what was measured: seconds
of the call that trains (`loop`: steps, validations, checkpoints), of its validations and checkpoints, and the tokens that went in.
Trainer gets what ours has: validation and checkpoint after each epoch, the best weights kept, the same optimiser settings.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any

LABELS = ("good", "bad", "mixed")
MAX_LENGTH = 128
OURS, SAME_BATCHES, GROUPED, DEFAULT = "japagen", "Trainer, japagen's batches", "Trainer, group_by_length", "Trainer"


@dataclass(frozen=True)
class Spec:
    """What to train, with what."""

    kind: str
    """OURS, SAME_BATCHES, GROUPED or DEFAULT."""
    encoder: str
    """A folder."""
    data: str
    """JSON: {"train": [[text, label], …], "valid": …}."""
    out: str
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    device: str
    """cpu or cuda."""
    precision: str
    """fp32 or bf16."""


@dataclass
class Clock:
    """Seconds in named parts, and tokens trained on."""

    cuda: bool
    seconds: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=lambda: {"real": 0, "padded": 0})
    """Tokens of training batches: those of texts, and those with the padding."""
    _inside: list[str] = field(default_factory=list)

    def timed(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """`call`, its seconds added to `part`; a GPU's queue is waited for, or they would be another part's."""

        def measured(*arguments: Any, **named: Any) -> Any:
            started = self._now()
            self._inside.append(part)
            try:
                return call(*arguments, **named)
            finally:
                self._inside.pop()
                self.seconds[part] = self.seconds.get(part, 0.0) + self._now() - started

        return measured

    def counted(self, collate: Callable[..., Any]) -> Callable[..., Any]:
        """`collate`, its batches' tokens counted."""

        def counting(*arguments: Any) -> Any:
            batch = collate(*arguments)
            if "validation" not in self._inside:
                self.tokens["real"] += int(batch["attention_mask"].sum())
                self.tokens["padded"] += batch["attention_mask"].numel()
            return batch

        return counting

    def _now(self) -> float:
        if self.cuda:
            import torch

            torch.cuda.synchronize()
        return time.perf_counter()


def main() -> None:
    """Trains what the file given says, and writes what was measured."""
    spec = Spec(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    clock = Clock(spec.device == "cuda")
    data = json.loads(Path(spec.data).read_text(encoding="utf-8"))
    (train_ours if spec.kind == OURS else train_theirs)(spec, data, clock)
    import torch

    measured = {"seconds": clock.seconds, "tokens": clock.tokens, "threads": torch.get_num_threads()}
    Path(f"{spec.out}.json").write_text(json.dumps(measured), encoding="utf-8")


def train_ours(spec: Spec, data: dict[str, Any], clock: Clock) -> None:
    """The stage's own function, with metrics reported as in a run."""
    import_module("japagen.training")  # before torch, as in a run: it says how threads wait
    from pytorch_lightning.loops.evaluation_loop import _EvaluationLoop

    from japagen.config.schema import Encoder, Train
    from japagen.tasks import Example, Label, Task
    from japagen.training import encoding, progress, student

    encoding.Padding.__call__ = clock.counted(encoding.Padding.__call__)  # type: ignore[method-assign]
    student._fit = clock.timed("loop", student._fit)
    _EvaluationLoop.run = clock.timed("validation", _EvaluationLoop.run)  # type: ignore[method-assign]
    progress.write = clock.timed("checkpoints", progress.write)
    if spec.device == "cpu" and spec.precision == "bf16":  # a run takes bf16 on GPUs only; this tries the path without one
        student.choose_precision = lambda *_: "bf16-mixed"
    task = Task(name="benchmark", labels=[Label(name, "書く") for name in LABELS], metric="accuracy", system="s")
    rows, valid = (
        [Example((text,), label, id=str(index)) for index, (text, label) in enumerate(data[part])] for part in ("train", "valid")
    )
    encoder = Encoder(name="benchmark", id=spec.encoder, max_length=MAX_LENGTH, bf16=spec.precision == "bf16")
    settings = Train(epochs=spec.epochs, batch_size=spec.batch_size, learning_rate=spec.learning_rate, patience=spec.epochs)
    out, work = Path(spec.out), Path(f"{spec.out}.work")
    with Path(os.devnull).open("w", encoding="utf-8") as sink:
        student.train_student(
            task, encoder, spec.encoder, None, settings, rows, valid, spec.seed, out, work,
            lambda metrics, step: print(json.dumps(metrics), step, file=sink), spec.device,
        )  # fmt: skip


class Order:
    """Row numbers in the order of japagen's batches, epoch after epoch; the batch that may be smaller comes last."""

    def __init__(self, lengths: list[int], spec: Spec) -> None:
        self._lengths, self._spec, self._epoch = lengths, spec, 0

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        from japagen.training.batches import length_grouped

        batches = length_grouped(self._lengths, self._spec.batch_size, self._spec.seed, self._epoch)
        self._epoch += 1
        return chain.from_iterable(sorted(batches, key=len, reverse=True))


def train_theirs(spec: Spec, data: dict[str, Any], clock: Clock) -> None:
    """What one would write with transformers; rows as lists, which is quicker than a `datasets.Dataset`."""
    from transformers import (
        AutoConfig,
        AutoModelForSequenceClassification,
        AutoTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
        set_seed,
    )

    set_seed(spec.seed)
    names = dict(enumerate(LABELS))
    label2id = {name: index for index, name in names.items()}
    tokenizer = AutoTokenizer.from_pretrained(spec.encoder)
    config = AutoConfig.from_pretrained(spec.encoder, id2label=names, label2id=label2id, problem_type="single_label_classification")
    model = AutoModelForSequenceClassification.from_pretrained(spec.encoder, config=config, dtype="float32")
    parts = {}
    for part in ("train", "valid"):
        texts, labels = zip(*data[part], strict=True)
        found = tokenizer(list(texts), truncation=True, max_length=MAX_LENGTH)
        columns = {**found, "labels": [label2id[label] for label in labels]}
        parts[part] = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    arguments = TrainingArguments(
        output_dir=f"{spec.out}.work",
        num_train_epochs=spec.epochs,
        per_device_train_batch_size=spec.batch_size,
        per_device_eval_batch_size=2 * spec.batch_size,
        learning_rate=spec.learning_rate,
        weight_decay=0.01,
        warmup_steps=0.1,
        seed=spec.seed,
        bf16=spec.precision == "bf16",
        use_cpu=spec.device == "cpu",
        train_sampling_strategy="group_by_length" if spec.kind == GROUPED else "random",
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model="accuracy",
        disable_tqdm=True,
        report_to="none",
    )
    collator = DataCollatorWithPadding(tokenizer)
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=parts["train"],  # type: ignore[arg-type]
        eval_dataset=parts["valid"],  # type: ignore[arg-type]
        data_collator=clock.counted(collator),
        processing_class=tokenizer,
        compute_metrics=lambda found: {"accuracy": float((found.predictions.argmax(axis=1) == found.label_ids).mean())},
    )
    if spec.kind == SAME_BATCHES:
        order: Any = Order([len(row["input_ids"]) for row in parts["train"]], spec)
        trainer._get_train_sampler = lambda *_: order  # type: ignore[method-assign]
    trainer.evaluate = clock.timed("validation", trainer.evaluate)  # type: ignore[method-assign]
    trainer._save_checkpoint = clock.timed("checkpoints", trainer._save_checkpoint)  # type: ignore[method-assign]
    clock.timed("loop", trainer.train)()
    trainer.save_model(spec.out)
    tokenizer.save_pretrained(spec.out)


if __name__ == "__main__":
    main()
