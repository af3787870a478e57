"""The data set that a student learns from: selected rows, split and written as Parquet with a card.

A pure function of the stream's rows, the settings and the evaluation texts: byte for byte the same whenever it is made.
The folder loads with `datasets.load_dataset(folder)`.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from japagen.curation.contamination import EvaluationTexts
from japagen.curation.select import Accepted, Rejected, Selector
from japagen.replies import normalise
from japagen.tasks import Example, Task

VALID_SHARE = 10
"""One first sentence in so many goes to `valid`."""


@dataclass(frozen=True)
class Dataset:
    """What curation made of a stream."""

    train: tuple[Example, ...]
    valid: tuple[Example, ...]
    rejects: dict[str, dict[str, int]]
    """label -> reason -> rows."""
    rejected: tuple[Rejected, ...]


def make_dataset(task: Task, selector: Selector, evaluation: EvaluationTexts | None) -> Dataset:
    """Splits what `selector` accepted, after taking out what matches `evaluation`."""
    rejects = {label: Counter(counts) for label, counts in selector.counts.items()}
    rejected = list(selector.rejected)
    parts: dict[bool, list[Example]] = {False: [], True: []}
    for accepted in selector.accepted:
        if evaluation is not None and any(evaluation.match(text) for text in accepted.texts):
            rejects[accepted.label]["contamination"] += 1
            rejected.append(Rejected(accepted.label, accepted.index, "contamination", " | ".join(accepted.texts)))
            continue
        parts[is_valid(accepted.texts[0])].append(_example(task, accepted))
    counts = {label: dict(sorted(reasons.items())) for label, reasons in rejects.items()}
    return Dataset(tuple(parts[False]), tuple(parts[True]), counts, tuple(rejected))


def is_valid(first_text: str) -> bool:
    """Whether rows with this (first) text belong to `valid`: decided by its hash, so it stays as the data set grows."""
    return hashlib.sha256(normalise(first_text).encode()).digest()[0] * VALID_SHARE < 256


def _example(task: Task, accepted: Accepted) -> Example:
    score = next(label.score for label in task.labels if label.name == accepted.label)
    return Example(accepted.texts, accepted.label, score, f"{accepted.label}/{accepted.index}")


def write_examples(task: Task, examples: Sequence[Example], path: Path) -> None:
    """Parquet: `id`, the task's text columns, and the label column (names, or numbers for regression)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {"id": pa.array([example.id for example in examples], pa.string())}
    for position, name in enumerate(task.fields):
        columns[name] = pa.array([example.texts[position] for example in examples], pa.string())
    if task.is_regression:
        columns[task.label_field] = pa.array([example.score for example in examples], pa.float64())
    else:
        columns[task.label_field] = pa.array([example.label for example in examples], pa.string())
    pq.write_table(pa.table(columns), path)


def read_examples(task: Task, path: Path) -> tuple[Example, ...]:
    """The examples of a file that `write_examples` wrote."""
    import pyarrow.parquet as pq

    by_name = {label.name: label.score for label in task.labels}
    examples = []
    for row in pq.read_table(path).to_pylist():
        label = row["id"].rsplit("/", 1)[0] if task.is_regression else row[task.label_field]
        score = row[task.label_field] if task.is_regression else by_name[label]
        examples.append(Example(tuple(row[name] for name in task.fields), label, score, row["id"]))
    return tuple(examples)


def write_dataset(task: Task, dataset: Dataset, folder: Path, card: str) -> None:
    """train.parquet, valid.parquet, rejects.jsonl (some of each reason, to look at) and the card."""
    write_examples(task, dataset.train, folder / "train.parquet")
    write_examples(task, dataset.valid, folder / "valid.parquet")
    with (folder / "rejects.jsonl").open("w", encoding="utf-8") as file:
        for rejected in dataset.rejected:
            file.write(json.dumps(asdict(rejected), ensure_ascii=False) + "\n")
    (folder / "README.md").write_text(card, encoding="utf-8")


def dataset_card(task: Task, dataset: Dataset, made_by: Mapping[str, str]) -> str:
    """The data set's README.md: its front matter tells `datasets` the files; `made_by` is what made it, line by line."""
    rows = Counter(example.label for example in (*dataset.train, *dataset.valid))
    lines = ["---", f"language: {task.language or 'multilingual'}", "tags: [synthetic, japagen]", "configs:", "- config_name: default"]
    lines += ["  data_files:", "  - {split: train, path: train.parquet}", "  - {split: validation, path: valid.parquet}", "---", ""]
    lines += [f"# Synthetic data for {task.title or task.name}", ""]
    lines += ["Written by a language model; no person checked these texts or labels.", ""]
    lines += [f"- {name}: {value}" for name, value in made_by.items()]
    lines += [
        "",
        f"{len(dataset.train)} rows to train on, {len(dataset.valid)} to validate on.",
        "",
        "| label | rows | rejected |",
        "|---|---|---|",
    ]
    for label in task.label_names:
        reasons = ", ".join(f"{reason} {count}" for reason, count in dataset.rejects[label].items())
        lines.append(f"| {label} | {rows[label]} | {reasons or 'none'} |")
    return "\n".join(lines) + "\n"
