"""The data set that a student learns from: selected rows, split and written as Parquet with a card.

A pure function of the stream's rows, the settings and the evaluation texts: byte for byte the same whenever it is made.
The folder loads with `datasets.load_dataset(folder)`.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from japagen.curation.contamination import EvaluationTexts
from japagen.curation.licenses import DEMO, LicensedSource, cell, hub_license, license_lines
from japagen.curation.select import Rejected, Selector
from japagen.prompts.replies import normalise
from japagen.tasks import Example, Task, nearest_level

ANNOTATED = "annotated"
"""Ids of rows whose texts an LLM labelled and didn't write begin so, with a slash behind; a written row's with its label."""
PROBS, WEIGHT = "label_probs", "weight"
"""Columns of soft labels and row weights."""
CONTAMINATION, TWO_LABELS = "contamination", "two labels"
"""Reasons against rows as a whole, after selection (`japagen.prompts.replies.REASONS` says them in words)."""
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
    contaminated: dict[str, int] = field(default_factory=dict)
    """label -> rows that match evaluation texts, whether they were dropped or only counted; labels without any are absent."""


def selected_examples(task: Task, selector: Selector) -> list[Example]:
    """The accepted rows of `selector` as examples; their ids hold their positions in the stream."""
    scores = {label.name: label.score for label in task.labels}
    return [Example(row.texts, row.label, scores[row.label], f"{row.label}/{row.index}") for row in selector.accepted]


def make_dataset(
    task: Task, examples: Sequence[Example], rejects: Mapping[str, Mapping[str, int]], rejected: Sequence[Rejected],
    evaluation: EvaluationTexts | None, keeps_matches: bool = False,
) -> Dataset:  # fmt: skip
    """Splits the examples, after taking out texts under two labels and those that match `evaluation`.

    `rejects` and `rejected`: what was dropped before. `keeps_matches`: matching rows are counted and stay (curate.contamination=report).
    """
    counts = {label: Counter(reasons) for label, reasons in rejects.items()}
    dropped = list(rejected)
    contaminated: Counter[str] = Counter()
    parts: dict[bool, list[Example]] = {False: [], True: []}
    for example, reason in zip(examples, _reasons(examples, evaluation), strict=True):
        contaminated[example.label] += reason == CONTAMINATION
        if reason and not (keeps_matches and reason == CONTAMINATION):
            counts.setdefault(example.label, Counter())[reason] += 1
            dropped.append(Rejected(example.label, int(example.id.rpartition("/")[2]), reason, " | ".join(example.texts)))
            continue
        parts[is_valid(example.texts[0])].append(example)
    return Dataset(
        tuple(parts[False]),
        tuple(parts[True]),
        {label: dict(sorted(found.items())) for label, found in counts.items()},
        tuple(dropped),
        {label: num for label, num in contaminated.items() if num},
    )


def _reasons(examples: Sequence[Example], evaluation: EvaluationTexts | None) -> list[str]:
    """Why each example is dropped; '' for those that stay."""
    texts = [tuple(map(normalise, example.texts)) for example in examples]
    labels: dict[tuple[str, ...], set[str]] = {}
    for key, example in zip(texts, examples, strict=True):
        labels.setdefault(key, set()).add(example.label)
    matches = [False] * len(texts) if evaluation is None else evaluation.matches(texts)
    return [CONTAMINATION if match else TWO_LABELS if len(labels[key]) > 1 else "" for key, match in zip(texts, matches, strict=True)]


def is_valid(first_text: str) -> bool:
    """Whether rows with this (first) text belong to `valid`: decided by its hash, so it stays as the data set grows."""
    return hashlib.sha256(normalise(first_text).encode()).digest()[0] * VALID_SHARE < 256


def write_examples(task: Task, examples: Sequence[Example], path: Path) -> None:
    """Parquet: `id`, the task's text columns, and the label column (names, or numbers for regression).

    `probs` (a list of the labels' probabilities) and `weight` are columns where any row has them.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {"id": pa.array([example.id for example in examples], pa.string())}
    for position, name in enumerate(task.fields):
        columns[name] = pa.array([example.texts[position] for example in examples], pa.string())
    if task.is_regression:
        columns[task.label_field] = pa.array([example.score for example in examples], pa.float64())
    else:
        columns[task.label_field] = pa.array([example.label for example in examples], pa.string())
    if any(example.probs is not None for example in examples):
        columns[PROBS] = pa.array([example.probs for example in examples], pa.list_(pa.float64()))
    if any(example.weight != 1.0 for example in examples):
        columns[WEIGHT] = pa.array([example.weight for example in examples], pa.float64())
    pq.write_table(pa.table(columns), path)


def read_examples(task: Task, path: Path) -> tuple[Example, ...]:
    """The examples of a file that `write_examples` wrote."""
    import pyarrow.parquet as pq

    by_name = {label.name: label.score for label in task.labels}
    examples = []
    for row in pq.read_table(path).to_pylist():
        found = row[task.label_field]
        label = nearest_level(task, found).name if task.is_regression else found
        score = found if task.is_regression else by_name[label]
        probs, weight = row.get(PROBS), row.get(WEIGHT)
        texts = tuple(row[name] for name in task.fields)
        examples.append(Example(texts, label, score, row["id"], tuple(probs) if probs else None, 1.0 if weight is None else weight))
    return tuple(examples)


def write_dataset(task: Task, dataset: Dataset, folder: Path, card: str) -> None:
    """train.parquet, valid.parquet, rejects.jsonl (some of each reason, to look at) and the card."""
    write_examples(task, dataset.train, folder / "train.parquet")
    write_examples(task, dataset.valid, folder / "valid.parquet")
    with (folder / "rejects.jsonl").open("w", encoding="utf-8") as file:
        for rejected in dataset.rejected:
            file.write(json.dumps(asdict(rejected), ensure_ascii=False) + "\n")
    (folder / "README.md").write_text(card, encoding="utf-8")


def dataset_card(
    task: Task, dataset: Dataset, made_by: Mapping[str, Any], sources: Sequence[LicensedSource] = (), demo: bool = False
) -> str:
    """A data set's README.md: its front matter names the files for `datasets`; `made_by` is what made it, line by line."""
    from huggingface_hub import DatasetCardData

    files = [{"split": "train", "path": "train.parquet"}, {"split": "validation", "path": "valid.parquet"}]
    data = DatasetCardData(
        language=task.language or "multilingual",
        pretty_name=_title(task),
        task_categories=["text-classification"],
        tags=["synthetic", "japagen"],
        configs=[{"config_name": "default", "data_files": files}],
        **hub_license(sources),
    )
    lines = ["---", data.to_yaml(), "---", "", f"# {_title(task)}", ""]
    texts = next((source for source in sources if source.role == "texts"), None)
    lines += ["Made with a language model; no person checked these labels, nor any text that it wrote.", ""]
    if texts is not None:
        lines += [f"**Rows whose id begins with `annotated/` hold texts that no model wrote: {texts.name}, licence {texts.license}.**", ""]
    lines += [DEMO.format("Its texts and labels"), ""] if demo else []
    lines += ["## How it was made", "", *(f"- {name}: {value}" for name, value in made_by.items()), ""]
    return "\n".join([*lines, *license_lines(sources), *_row_lines(task, dataset)]) + "\n"


def _title(task: Task) -> str:
    return f"Synthetic data for {task.title or task.name}"


def _row_lines(task: Task, dataset: Dataset) -> list[str]:
    """The columns, and how many rows each label has."""
    examples = (*dataset.train, *dataset.valid)
    rows = Counter(example.label for example in examples)
    what = f"a number, {task_range(task)}" if task.is_regression else "a label's name"
    columns = [f"`{name}`" for name in ("id", *task.fields)] + [f"`{task.label_field}` ({what})"]
    columns += [f"`{PROBS}` (of {', '.join(task.label_names)})"] if any(example.probs is not None for example in examples) else []
    columns += [f"`{WEIGHT}`"] if any(example.weight != 1.0 for example in examples) else []
    lines = ["## Rows", "", f"{len(dataset.train)} rows to train on, {len(dataset.valid)} to validate on. Columns: {', '.join(columns)}."]
    lines += ["", "| label | rows | rejected |", "|---|---|---|"]
    for label in [*task.label_names, *(label for label in dataset.rejects if label not in task.label_names)]:
        reasons = ", ".join(f"{reason} {count}" for reason, count in dataset.rejects.get(label, {}).items())
        lines.append(f"| {cell(label) or 'none'} | {rows[label]} | {reasons or 'none'} |")
    return [*lines, "", "Load it with `datasets.load_dataset(FOLDER)`."]


def task_range(task: Task) -> str:
    """'0.0 to 5.0' (regression only)."""
    scores = task.label_scores()
    return f"{min(scores)} to {max(scores)}"
