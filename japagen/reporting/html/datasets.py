"""The page's section on each data set among the results: what it was made with, its quality, and sampled texts and rejects."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from japagen.curation.dataset import ANNOTATED, read_examples
from japagen.curation.label_noise import read_noise
from japagen.errors import JapagenError, StoreError
from japagen.experiments.result import Result
from japagen.prompts.replies import QUOTES_GOLD
from japagen.reporting.html.grids import Grid, counted_labels, label_noise_grids, quality_grids, reading_grid
from japagen.reporting.html.texts import Prompts, RejectedText, Text, sample_rejects, sample_texts
from japagen.reporting.report import Report, Run
from japagen.reporting.setting_names import full_name
from japagen.store.files import read_json
from japagen.store.store import Store

TEXTS_BYTES = 1_600_000
"""What all data sets' texts may take of the page."""
LARGEST_SAMPLE = 60_000
"""Maximum for one data set."""
_PARTS = ("labels", "rejects", "reading", "length", "diversity", "neighbours", "overlap", "partial_reading", "agreement", "described")


@dataclass(frozen=True)
class DatasetPage:
    """One data set, whichever number of runs learned from it."""

    key: str
    heading: str
    labels: tuple[str, ...]
    fields: tuple[str, ...]
    language: str
    """Of the texts; '' where it is not known."""
    facts: tuple[tuple[str, str], ...]
    runs: tuple[int, ...]
    """Indices in Report.runs."""
    grids: tuple[Grid, ...]
    has_quality: bool
    texts: tuple[Text, ...]
    rejects: tuple[RejectedText, ...]
    notes: tuple[str, ...]
    """What isn't shown, and why."""


def dataset_pages(report: Report, store: Store) -> tuple[list[DatasetPage], int]:
    """The data sets in the runs' order, and how many more the results name that the store doesn't have."""
    users: dict[str, list[int]] = {}
    for number, run in enumerate(report.runs):
        if isinstance(run.outcome, Result) and "dataset" in run.outcome.keys:
            users.setdefault(run.outcome.keys["dataset"], []).append(number)
    there = {key: numbers for key, numbers in users.items() if store.find("dataset", key) is not None}
    measured = _measured(store)
    budget = min(LARGEST_SAMPLE, TEXTS_BYTES // max(1, len(there)))
    pages = [_page(report.runs, numbers, key, store, measured.get(key), budget) for key, numbers in there.items()]
    return pages, len(users) - len(there)


def _measured(store: Store) -> dict[str, Mapping[str, Any]]:
    """Data set's key -> its latest quality.json."""
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for path in sorted((store.root / "quality").glob("*/quality.json")):
        try:
            created, content = str(read_json(path.parent / "meta.json").get("created", "")), read_json(path)
        except JapagenError:  # broken, or being written: the data set is shown as one without
            continue
        if all(part in content for part in _PARTS):
            found[content["dataset"]] = max(found.get(content["dataset"], ("", {})), (created, content), key=lambda entry: entry[0])
    return {key: content for key, (_, content) in found.items()}


def _page(
    runs: Sequence[Run], numbers: Sequence[int], key: str, store: Store, quality: Mapping[str, Any] | None, budget: int
) -> DatasetPage:
    run = runs[numbers[0]]
    result, task = run.outcome, run.config.task
    assert isinstance(result, Result)
    folder, meta = store.path("dataset", key), store.meta("dataset", key)
    train = read_examples(task, folder / "train.parquet")
    prompts = Prompts(store, result.keys.get("stream"))
    texts = sample_texts(task, train, prompts, budget) if prompts.are_known else []
    counts = Counter(row.label for row in (*train, *read_examples(task, folder / "valid.parquet")))
    rejects = meta.get("rejects", {})
    return DatasetPage(
        key=key,
        heading=full_name(result),
        labels=tuple(task.label_names),
        fields=tuple(task.fields),
        language=task.language,
        facts=_facts(result, meta),
        runs=tuple(numbers),
        grids=(
            *(quality_grids(quality) if quality is not None else _counted_grids(task.label_names, counts, meta)),
            *_noise_grids(store, key),
        ),
        has_quality=quality is not None,
        texts=tuple(texts),
        rejects=tuple(sample_rejects(folder / "rejects.jsonl", prompts) if prompts.are_known else []),
        notes=tuple(_notes(result, prompts, any(row.id.startswith(f"{ANNOTATED}/") for row in train), rejects)),
    )


def _noise_grids(store: Store, key: str) -> list[Grid]:
    try:
        found = read_noise(store, key)
    except StoreError:  # as for a broken quality report
        return []
    return [] if found is None else label_noise_grids(found)


def _counted_grids(labels: Sequence[str], num_rows: Mapping[str, int], meta: Mapping[str, Any]) -> list[Grid]:
    """What meta.json alone says, for a data set without a quality report."""
    grids = [counted_labels(labels, num_rows, meta.get("rejects", {})), reading_grid(meta.get("reading", {}))]
    return [grid for grid in grids if grid.rows]


def _facts(result: Result, meta: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    tokens = meta.get("tokens", {})
    found = {
        "LLM": result.llm,
        "prompt": result.prompt,
        "shots": str(result.shots),
        "rows": f"{meta.get('num_train', 0):,} to train on, {meta.get('num_valid', 0):,} to select on",
        "replies": f"{meta['replies']:,}" if "replies" in meta else None,
        "tokens": f"{tokens.get('prompt', 0):,} prompt, {tokens.get('completion', 0):,} completion" if tokens else None,
        "made": meta.get("created"),
    }
    return tuple((name, str(value)) for name, value in found.items() if value)


def _notes(result: Result, prompts: Prompts, is_annotated: bool, rejects: Mapping[str, Mapping[str, int]]) -> list[str]:
    notes = []
    if is_annotated:
        notes.append("Texts that an LLM labelled and didn't write are not shown.")
    if "stream" in result.keys and not prompts.are_known:
        notes.append("The stream isn't in the store, so exemplars can't be told from the LLM's own words: no text is shown.")
    hidden = [reason for reason in QUOTES_GOLD if any(counts.get(reason) for counts in rejects.values())]
    if hidden:
        notes.append(f"Not shown, since they may hold gold texts: replies rejected for {' and '.join(hidden)}.")
    if prompts.are_known and result.shots:
        notes.append("Texts that repeat a part of an exemplar are left out.")
    return notes
