"""Task and data settings in, a Split of checked examples out.

Which file is read depends on `data.source`; how its rows become examples does not. A row that can't be used is an error
with its file:line and never dropped, since a gold split with fewer rows would give scores that compare with nobody's. Only in
a CSV or TSV file of the user's own are rows without a label left out, with a note: a sheet may be labelled in part.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from japagen.config.schema import Data
from japagen.errors import DataError, check_choice, nearest
from japagen.gold import livedoor
from japagen.gold.formats import FileRow, read_rows
from japagen.gold.published import find_file
from japagen.store.files import expand_home
from japagen.tasks import Example, SplitFile, Task, nearest_level

SAMPLE_FOLDER = Path(__file__).parent.parent / "data" / "sample"
SAMPLE_SPLITS = ("train", "valid")
SHEETS = (".csv", ".tsv")
"""Files that people fill in by hand; in others a missing label is a fault."""
ID_COLUMNS = ("id", "sentence_pair_id", "uid")


@dataclass(frozen=True)
class Split:
    """Labelled rows of one task, and where they are from."""

    name: str
    """train, valid, test, …"""
    examples: tuple[Example, ...]
    """In the file's order."""
    checksum: str
    """sha256 of texts, labels and scores in that order; the same rows in another format, or with other ids, have the same."""
    source: str
    """One line for tables, e.g. `JGLUE JSTS v1.3 valid`."""
    license: str
    notes: tuple[str, ...] = ()
    """How it was read, where that may surprise, e.g. `my.csv: read as CP932`."""
    matched: Mapping[str, int] = field(default_factory=dict)
    """label -> train rows that match scored rows, left out or only counted (japagen/gold/overlap.py); labels without any are absent."""
    num_left_out: int = 0
    """Train rows that are not among `examples`, since they match scored rows."""


def read_train(task: Task, data: Data) -> Split | None:
    """The train split, or the stand-in that `data.train_source` names; None: the task has no train rows in this source.

    Raises DataError for a missing or unreadable file.
    """
    _check_published(task, data)
    if data.source == "sample":
        return _read_sample(task, "train")
    if data.source == "files":
        return _read_user_file(task, "train", data.train_file)
    if data.train_source is not None:
        return _read_stand_in(task, data, data.train_source)
    return _read_published(task, data, "train")


def read_eval(task: Task, data: Data, split: str | None = None) -> Split | None:
    """The split that is scored (None: `data.split`); None: the task has no evaluation rows in this source.

    Raises DataError for a missing or unreadable file, and for the train split: it is never scored.
    """
    _check_published(task, data)
    name = data.split if split is None else split
    if name == "train":
        raise DataError(
            f"data.split='train' can't be scored: students are trained on it; choose another split, e.g. data.split={task.published.scored}"
        )
    if data.source == "sample":
        return _read_sample(task, name)
    if data.source == "files":
        return _read_user_file(task, name, data.eval_file)
    return _read_published(task, data, name)


def read_unlabelled(task: Task, file: str) -> tuple[tuple[str, ...], ...]:
    """The texts of a user's file, in its order, each once; its other columns aren't read. Raises DataError for a file without texts."""
    path = expand_home(file)
    rows, _ = read_rows(path)
    if not rows:
        raise DataError(f"{path}: no rows, but data.unlabelled_file needs at least one")
    return tuple(dict.fromkeys(tuple(_text(row, field, task.gold_chars) for field in task.fields) for row in rows))


def read_also_scored(task: Task, data: Data) -> dict[str, Split]:
    """Split name -> split, those scored beside the task's own choice (`task.published.also_scored`); none beside another.

    Raises DataError for a missing or unreadable file.
    """
    if data.source != "published" or data.split != task.published.scored:
        return {}
    return {name: _read_published(task, data, name) for name in task.published.also_scored}


def files_read(task: Task, data: Data, train: bool) -> dict[str, SplitFile | Path]:
    """Name -> each file that `read_eval`, `read_also_scored` and (with `train`) `read_train` open: a publisher's, or the user's own.

    Raises DataError where the source has no such split; whether the files are there is not looked at.
    """
    _check_published(task, data)
    if data.source == "files":
        own = {data.split: data.eval_file} | ({"train": data.train_file} if train else {})
        return {name: expand_home(file) for name, file in own.items() if file is not None}
    if data.source != "published":
        return {}
    published = task.published
    names = [
        data.split,
        *(published.also_scored if data.split == published.scored else []),
        *(["train"] if train and not data.train_source else []),
    ]
    for name in names:
        _check_split_name(name, published.splits, published.name, _stand_ins(task) if name == "train" else "")
    files: dict[str, SplitFile | Path] = {name: published.splits[name] for name in names}
    if train and data.train_source:
        files[data.train_source] = published.train_sources[data.train_source]
    return files


def _read_sample(task: Task, name: str) -> Split | None:
    folder = SAMPLE_FOLDER / task.name
    if not folder.is_dir():
        return None
    _check_split_name(name, SAMPLE_SPLITS, f"the sample of task {task.name!r}")
    return _read_split(task, Split(name, (), "", "sample (smoke data)", "CC0-1.0"), folder / f"{name}.jsonl")


def _read_user_file(task: Task, name: str, file: str | None) -> Split | None:
    if file is None:
        return None
    path = expand_home(file)
    return _read_split(
        task, Split(name, (), "", f"files: {path.name}", "the user's own"), path, needs_labels=path.suffix.lower() not in SHEETS
    )


def _read_published(task: Task, data: Data, name: str) -> Split:
    published = task.published
    hint = _stand_ins(task) if name == "train" else ""
    _check_split_name(name, published.splits, published.name, hint)
    file = published.splits[name]
    path = find_file(published, file, data, hint)
    return _read_split(task, Split(name, (), "", _source(f"{published.name} {name}", file, data), published.license), path, file, data)


def _read_stand_in(task: Task, data: Data, name: str) -> Split:
    published = task.published
    check_choice("data.train_source", name, published.train_sources)
    file = published.train_sources[name]
    kept = "".join(f", {column}={value}" for column, value in file.where.items())
    source = _source(f"{name}{kept} (stands in for {published.name} train)", file, data)
    return _read_split(task, Split("train", (), "", source, published.license), find_file(published, file, data), file, data)


def _source(source: str, file: SplitFile, data: Data) -> str:
    """`source`, with a word where `data.strip_source=false` leaves in what gives the label away."""
    return f"{source}, with site names" if file.archive and not data.strip_source else source


def _stand_ins(task: Task) -> str:
    """The end of a message about a missing train split: the stand-ins, by setting and size."""
    named = [f"data.train_source={name} ({file.rows} rows)" for name, file in task.published.train_sources.items()]
    return f"; or take a stand-in for the train split: {', '.join(named)}" if named else ""


def _check_published(task: Task, data: Data) -> None:
    if data.source != "published":
        return
    if task.published.unavailable:
        raise DataError(
            f"data.source='published': task {task.name!r} ({task.published.name}) can't be downloaded: {task.published.unavailable.strip()}"
        )
    if not task.published.splits:
        raise DataError(
            f"data.source='published': task {task.name!r} has no published gold data that can be downloaded; set data=files with"
            " data.eval_file=… (and data.train_file=… for exemplars or gold training) to your own files, or data=sample"
        )


def _check_split_name(name: str, splits: Iterable[str], owner: str, hint: str = "") -> None:
    if name in splits:
        return
    scored = [split for split in splits if split != "train"]
    if name == "train":
        raise DataError(f"{owner} has no train split; it has {', '.join(scored)}{hint}")
    raise DataError(f"data.split={name!r} is no split of {owner}{nearest(name, scored)}; allowed: {', '.join(scored)}")


def _read_split(
    task: Task, empty: Split, path: Path, file: SplitFile | None = None, data: Data | None = None, needs_labels: bool = True
) -> Split:
    """`empty` filled with the rows of `path`; `file`: the publisher's columns, filter and number of rows.

    `needs_labels=False`: rows without a label are left out, with a note.
    """
    if file is not None and file.archive and data is not None:
        check_choice(f"task.published.splits.{empty.name}.archive", file.archive, ["livedoor"])
        rows, notes = livedoor.read_split_rows(path, empty.name, data.strip_source)
    else:
        rows, notes = read_rows(path)
    columns: dict[str, str] = {} if file is None else file.columns
    if file is not None:
        rows = [row for row in rows if all(_as_text(row.value(column)) == value for column, value in file.where.items())]
        if file.rows and len(rows) != file.rows:
            kept = f" where {file.where}" if file.where else ""
            raise DataError(f"{path}: {len(rows)} rows{kept}, but there must be {file.rows}; get the file anew from {file.url}")
    if not rows:
        raise DataError(f"{path}: no rows, but split {empty.name!r} needs at least one")
    if not needs_labels:
        rows, left_out = _labelled(task, rows, path)
        notes += left_out
    cluster_column = _cluster_column(task, rows, columns)
    examples = tuple(replace(_example(task, row, columns), cluster=_cluster(task, row, cluster_column)) for row in rows)
    return replace(empty, examples=examples, checksum=rows_checksum(examples), notes=notes)


def _labelled(task: Task, rows: list[FileRow], path: Path) -> tuple[list[FileRow], tuple[str, ...]]:
    """The rows that have a label, and a note where some have none; all rows where none has one, so that the first is refused."""
    labelled = [row for row in rows if _as_text(row.value(task.label_field)) or "" in task.label_map]
    num = len(rows) - len(labelled)
    if num in (0, len(rows)):
        return rows, ()
    return labelled, (f"{path.name}: {num} rows without a label left out",)


def rows_checksum(examples: tuple[Example, ...]) -> str:
    """sha256 of texts, labels and scores in the given order, as a Split has it."""
    digest = hashlib.sha256()
    for example in examples:
        line = json.dumps([example.texts, example.label, example.score], ensure_ascii=False, separators=(",", ":"))
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()


def clusters_checksum(splits: Iterable[Split]) -> str | None:
    """sha256 of the rows' clusters in order; None where no row has one."""
    clusters = [[example.cluster for example in split.examples] for split in splits]
    if not any(map(any, clusters)):
        return None
    return hashlib.sha256(json.dumps(clusters, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def _example(task: Task, row: FileRow, columns: dict[str, str]) -> Example:
    texts = tuple(_text(row, columns.get(field, field), task.gold_chars) for field in task.fields)
    label_column = columns.get(task.label_field, task.label_field)
    if task.is_regression:
        score = _score(task, row, label_column)
        return Example(texts, nearest_level(task, score).name, score, _id(row))
    return Example(texts, _label(task, row, label_column), None, _id(row))


def _text(row: FileRow, column: str, max_chars: int | None) -> str:
    """The text in `column`; where it is longer than `max_chars` characters, so many of it, white space at its ends left out."""
    text = row.value(column)
    if not isinstance(text, str) and text is not None:
        raise DataError(f"{row.location}: column {column!r} must hold text; found {type(text).__name__} {text!r:.40}")
    if text is None or not text.strip():
        raise DataError(f"{row.location}: column {column!r} is empty; each row needs a text there: fill it in, or remove the row")
    _check_whole(row, column, text)
    if max_chars is None or len(text) <= max_chars:
        return text
    return text.strip()[:max_chars].rstrip()


def _check_whole(row: FileRow, column: str, text: str) -> None:
    """DataError for half a character (a lone surrogate), which JSON can write and nothing after this can."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        half = f"\\u{ord(text[error.start]):x}"
        raise DataError(f"{row.location}: column {column!r} holds half a character ({half}); take it out, or write both halves") from error


def _label(task: Task, row: FileRow, column: str) -> str:
    """The label's name for the row's value, by `label_map` or unchanged; 1.0 is taken for 1 (pandas writes it so)."""
    found = _as_text(row.value(column))
    integral = re.fullmatch(r"([+-]?\d+)\.0+", found)
    for value in [found, integral[1]] if integral else [found]:
        if value in task.label_map:
            return task.label_map[value]
        if value in task.label_names:
            return value
    allowed = [*task.label_names, *task.label_map]
    raise DataError(
        f"{row.location}: label {found!r} (column {column!r}) is not known{nearest(found, allowed)}; allowed: {', '.join(allowed)}"
        " (task.labels, task.label_map)"
    )


def _score(task: Task, row: FileRow, column: str) -> float:
    """The row's true score. Raises DataError unless it is a finite number between the lowest and the highest level."""
    found, low, high = row.value(column), min(task.label_scores()), max(task.label_scores())
    try:
        score = math.nan if isinstance(found, bool) else float(found)
    except (TypeError, ValueError, OverflowError):
        score = math.nan
    if not low <= score <= high:
        raise DataError(
            f"{row.location}: regression needs labels that are numbers; found {found!r} (column {column!r}); allowed: {low} to {high}"
        )
    return score


def _cluster_column(task: Task, rows: Sequence[FileRow], columns: dict[str, str]) -> str | None:
    """The file's column for `task.cluster_field`; None where there is none, so that each row is by itself."""
    column = columns.get(task.cluster_field, task.cluster_field)
    return column if column and any(column in row.values for row in rows) else None


def _cluster(task: Task, row: FileRow, column: str | None) -> str:
    """The name of the row's cluster. Raises DataError where other rows of the file have the column and this one has no value in it."""
    if column is None:
        return ""
    found = _as_text(row.value(column))
    name = found.partition(task.cluster_until)[0] if task.cluster_until else found
    if not name:
        raise DataError(
            f"{row.location}: column {column!r} (task.cluster_field) has no cluster: {found!r}; fill it in, or remove the column to have"
            " each row drawn by itself"
        )
    return name.encode("utf-8", "replace").decode()


def _id(row: FileRow) -> str:
    for column in ID_COLUMNS:
        found = _as_text(row.values.get(column))
        if found:
            return found.encode("utf-8", "replace").decode()  # half a character of a JSON file, which is no text
    return str(row.line)


def _as_text(value: Any) -> str:
    return "" if value is None else str(value).strip()
