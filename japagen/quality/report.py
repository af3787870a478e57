"""A data set's quality report: quality.json, a stage of its own that is made when somebody asks, and read by nothing in training.

Its key is made of what it compares: the data set, the gold rows that score its students (checksum), and the gold-trained student whose
labels are held against the data set's. So it is made anew when one of these is new. It holds no text of a gold row.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from japagen import gold
from japagen.config.schema import Data
from japagen.curation.dataset import ANNOTATED, read_examples
from japagen.errors import ConfigError, TrainingError
from japagen.evaluation.vectors import can_describe
from japagen.experiments.identities import quality_identity
from japagen.experiments.result import Result
from japagen.prompts.replies import QUOTES_GOLD
from japagen.quality.artefacts import overlap_by_label, partial_reading
from japagen.quality.diversity import diversity
from japagen.quality.likeness import balance, lengths, neighbours
from japagen.quality.samples import draw
from japagen.quality.students import agreement, described_by, find_described, find_gold_student
from japagen.store import keys
from japagen.store.files import from_json, read_json, write_json
from japagen.store.store import Store
from japagen.tasks import Example, Task

NUM_EXAMPLES = 3
"""Texts shown of each label."""
NUM_REJECTED = 2
"""Rejected replies shown for each reason."""


@dataclass(frozen=True)
class Quality:
    """quality.json."""

    task: str
    dataset: str
    """Its key."""
    gold: dict[str, Any] | None
    """source, split and rows of what the data set is compared with."""
    rows: dict[str, int]
    """train and valid."""
    labels: dict[str, dict[str, Any]]
    """label -> rows and shares (`likeness.balance`), rejected, and accepted_share of its replies."""
    rejects: dict[str, dict[str, int]]
    """reason -> label -> replies."""
    changes: dict[str, dict[str, int]]
    """label -> what a judge made of its rows."""
    reading: dict[str, dict[str, int]]
    """rule -> label -> rows of which the rule changed a text as it read the reply."""
    prior: dict[str, float] | None
    """Label frequencies that the rows' weights were set to."""
    length: dict[str, dict[str, Any]]
    """field -> `likeness.lengths`."""
    diversity: dict[str, dict[str, Any]]
    """field -> `diversity.diversity`."""
    neighbours: dict[str, Any] | None
    overlap: dict[str, Any] | None
    """Pairs: synthetic and gold, each by label."""
    partial_reading: dict[str, Any]
    """synthetic and gold, each `artefacts.partial_reading`."""
    agreement: dict[str, Any] | None
    """With a student trained on gold rows."""
    described: dict[str, Any] | None
    """With the labels' descriptions (`students.find_described`)."""
    examples: dict[str, list[dict[str, Any]]]
    """label -> id and texts of written rows."""
    rejected_examples: dict[str, list[dict[str, Any]]]
    """reason -> label, index and text, as they were replied."""
    missing: dict[str, str]
    """What is None here, and why."""
    seconds: float = 0.0


def make_quality(
    store: Store, dataset: str, task: Task, data: Data, device: str = "auto", say: Callable[[str], None] = print
) -> tuple[Quality, Path]:
    """The report on the data set with this key, and its folder in the store; measured unless the store has it.

    task: the one it was made for. data: where the gold rows are. Raises ConfigError for a task that isn't the data set's, DataError for
    gold rows that can't be read, StoreError for a data set that isn't there.
    """
    check_fits(store, dataset, task)
    split = gold.read_eval(task, data)
    student, described = find_gold_student(store, task, data.source), find_described(store, dataset)
    checksum, model = split.checksum if split else None, student.keys["model"] if student else None
    identity = quality_identity(dataset, checksum, model, described.keys["result"] if described else None)
    key = keys.stage_key("quality", identity)
    if (folder := store.find("quality", key)) is None:
        with store.lock("quality", key, say) as lock:
            if (folder := store.find("quality", key)) is None:
                say(f"{task.name}: measuring the data set {dataset}")

                def build(out: Path) -> dict[str, Any]:
                    quality = measure(store, dataset, task, split, student, described, device)
                    write_json(out / "quality.json", asdict(quality))
                    return {"seconds": quality.seconds}

                folder = store.publish("quality", key, build, identity, lock)
    return read_quality(folder), folder


def read_quality(folder: Path) -> Quality:
    """The report of a published folder."""
    return from_json(Quality, read_json(folder / "quality.json"))


def check_fits(store: Store, dataset: str, task: Task) -> None:
    """Raises ConfigError unless labels and columns of the stored data set are the task's."""
    identity = store.meta("dataset", dataset)["identity"]
    names = [label[0] for label in identity["labels"]]
    columns = [*task.fields, task.label_field]
    if names != task.label_names or identity["fields"] != columns:
        raise ConfigError(
            f"task={task.name!r} is not what data set {dataset} was made for: that has the labels {', '.join(names)} and the columns"
            f" {', '.join(identity['fields'])}; the task has {', '.join(task.label_names)} and {', '.join(columns)};"
            " name the task that it was made for (one of your own: --config-dir DIR)"
        )


def measure(
    store: Store, dataset: str, task: Task, split: gold.Split | None, student: Result | None, described: Result | None, device: str
) -> Quality:
    """All parts of the report; what can't be measured is None, with its reason in `missing`."""
    started = time.monotonic()
    folder, meta = store.path("dataset", dataset), store.meta("dataset", dataset)
    train, valid = (read_examples(task, folder / f"{name}.parquet") for name in ("train", "valid"))
    rows, references = [*train, *valid], split.examples if split else None
    rejects = _by_reason(meta.get("rejects", {}))
    missing = _missing(task, rows, split, student, described)
    agreed = None
    if student is not None and rows:
        try:
            agreed = agreement(task, rows, student, store.path("model", student.keys["model"]), device)
        except TrainingError as error:
            missing["agreement"] = str(error)
    return Quality(
        task=task.name,
        dataset=dataset,
        gold={"source": split.source, "split": split.name, "rows": len(split.examples)} if split else None,
        rows={"train": len(train), "valid": len(valid)},
        labels=_labels(task, rows, references, rejects),
        rejects=rejects,
        changes=meta.get("changes", {}),
        reading=meta.get("reading", {}),
        prior=meta.get("prior"),
        length=lengths(task, rows, references),
        diversity=_diversity(task, rows, references),
        neighbours=neighbours(rows, references) if rows and references else None,
        overlap=_overlap(task, rows, references),
        partial_reading={
            "synthetic": partial_reading(task, rows),
            "gold": partial_reading(task, references) if references else None,
        },
        agreement=agreed,
        described=described_by(described) if described else None,
        examples={name: _examples([row for row in rows if row.label == name and not _is_given(row)]) for name in task.label_names},
        rejected_examples=_rejected(folder / "rejects.jsonl"),
        missing=missing,
        seconds=time.monotonic() - started,
    )


def _is_given(row: Example) -> bool:
    """Whether an LLM labelled the row's texts and didn't write them: gold texts, or the user's own, which are not shown either."""
    return row.id.startswith(f"{ANNOTATED}/")


def _missing(
    task: Task, rows: Sequence[Example], split: gold.Split | None, student: Result | None, described: Result | None
) -> dict[str, str]:
    missing = {}
    if split is None:
        missing["gold"] = missing["neighbours"] = f"task {task.name!r} has no gold rows to compare with: set data=files data.eval_file=FILE"
    if student is None:
        made_by = f"python run.py task={task.name} method=gold data=…"
        missing["agreement"] = f"the store holds no student of task {task.name!r} trained on its gold rows; {made_by} makes one"
    if not task.is_pair:
        missing["overlap"] = "the task's texts are single"
    if not can_describe(task):
        missing["described"] = "labels of pairs, levels of a regression, and labels described alike can't be told by a description"
    elif described is None:
        missing["described"] = f"no student has been trained on this data set and scored; python run.py task={task.name} … compares the two"
    if any(_is_given(row) for row in rows):
        missing["examples"] = "texts that an LLM labelled and didn't write are not shown"
    if not rows:
        missing["rows"] = missing["neighbours"] = "the data set has no rows"
    return missing


def _by_reason(rejects: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """label -> reason -> replies, turned round; the most frequent reason first."""
    turned: dict[str, Counter[str]] = {}
    for label, counts in rejects.items():
        for reason, count in counts.items():
            turned.setdefault(reason, Counter())[label] += count
    ordered = sorted(turned.items(), key=lambda item: (-item[1].total(), item[0]))
    return {reason: dict(counts) for reason, counts in ordered}


def _labels(
    task: Task, rows: Sequence[Example], references: Sequence[Example] | None, rejects: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, Any]]:
    found = balance(task, rows, references)
    for name, of_label in found.items():
        rejected = sum(counts.get(name, 0) for counts in rejects.values())
        replies = of_label["rows"] + rejected
        of_label |= {"rejected": rejected, "accepted_share": of_label["rows"] / replies if replies else None}
    return found


def _diversity(task: Task, rows: Sequence[Example], references: Sequence[Example] | None) -> dict[str, dict[str, Any]]:
    found = {}
    for position, field in enumerate(task.fields):
        others = None if references is None else [row.texts[position] for row in references]
        found[field] = diversity([row.texts[position] for row in rows], others)
    return found


def _overlap(task: Task, rows: Sequence[Example], references: Sequence[Example] | None) -> dict[str, Any] | None:
    """Pairs: overlap of the rows' and of gold pairs."""
    if not task.is_pair:
        return None
    return {"synthetic": overlap_by_label(task, rows), "gold": overlap_by_label(task, references) if references else None}


def _examples(rows: Sequence[Example]) -> list[dict[str, Any]]:
    return [{"id": row.id, "texts": list(row.texts)} for row in draw(rows, NUM_EXAMPLES)]


def _rejected(path: Path) -> dict[str, list[dict[str, Any]]]:
    """The first ones of each reason in the file, of different labels where there are such."""
    if not path.is_file():
        return {}
    found: dict[str, list[dict[str, Any]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found.setdefault(row.pop("reason"), []).append(row)
    shown = {}
    for reason, rows in sorted(found.items()):
        if reason not in QUOTES_GOLD:
            first_of_label = list({row["label"]: row for row in reversed(rows)}.values())[::-1]
            shown[reason] = [*first_of_label, *(row for row in rows if row not in first_of_label)][:NUM_REJECTED]
    return shown
