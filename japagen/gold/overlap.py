"""Keeps rows that are scored out of the train split: a student that has learned a row, or a prompt that shows it, knows its answer.

Rows are the same where all their texts are, as `normalise` compares texts; their labels aren't looked at. The order of a pair's texts
doesn't count: of the same two texts the similarity is the same, and a contradiction stays one.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from japagen.config.schema import Data
from japagen.errors import DataError
from japagen.gold.splits import Split, rows_checksum
from japagen.prompts.replies import normalise
from japagen.tasks import Task

MOST_SHARED = 0.5
"""Share of the train rows that may be scored rows; above it the files are taken for the same one, and refused."""

Texts = tuple[str, ...]


def part_from_scored(task: Task, data: Data, train: Split, scored: Sequence[Split], keep: bool) -> Split:
    """`train` without the rows that `scored` has too, with a note and their number; `keep` (curate.contamination=off): noted only.

    Raises DataError where more than half of the rows are scored rows, or where a class has no other rows.
    """
    shared = {split.source: _row_keys(_texts(split)) & _row_keys(_texts(train)) for split in scored}
    left = tuple(example for example in train.examples if not any(_row_key(example.texts) in keys for keys in shared.values()))
    num = len(train.examples) - len(left)
    if num == 0:
        return train
    where = ", ".join(source for source, keys in shared.items() if keys)
    found = f"{num} of {len(train.examples)} train rows ({train.source}) are also scored rows ({where})"
    if num > MOST_SHARED * len(train.examples):
        raise DataError(f"{found}: the score would show what the student or the prompt has seen; {_cure(data)}")
    if keep:
        return replace(train, notes=(*train.notes, f"warning: {found}; curate.contamination=off keeps them in training and prompts"))
    emptied = {example.label for example in train.examples} - {example.label for example in left}
    if emptied and not task.is_regression:
        raise DataError(f"{found}, and label {min(emptied)!r} has no other train row; {_cure(data)}")
    note = f"{found}; they are left out of training and prompts"
    return replace(train, examples=left, checksum=rows_checksum(left), notes=(*train.notes, note), num_left_out=num)


def check_texts_left(task: Task, data: Data, unlabelled: Collection[Texts], scored: Sequence[Split]) -> None:
    """Raises DataError where every unlabelled text (or pair) is a scored one: none would be left to train on."""
    shared = _row_keys(texts for split in scored for texts in _texts(split))
    if unlabelled and all(_row_key(texts) in shared for texts in unlabelled):
        where = ", ".join(split.source for split in scored)
        raise DataError(
            f"task {task.name!r}: all {len(unlabelled)} unlabelled texts ({data.unlabelled_file or 'the train split'}) are also scored rows"
            f" ({where}), so none is left to train on; set data.unlabelled_file to a file with other texts, or split the file in two"
        )


def _cure(data: Data) -> str:
    if data.source != "files":
        return "take train rows that are not scored: data=files with data.train_file=FILE and data.eval_file=FILE"
    return (
        f"set data.train_file to a file with other rows, or split the file in two; found data.train_file={data.train_file} and"
        f" data.eval_file={data.eval_file}"
    )


def _texts(split: Split) -> Iterable[Texts]:
    return (example.texts for example in split.examples)


def _row_keys(rows: Iterable[Texts]) -> set[Texts]:
    return {_row_key(texts) for texts in rows}


def _row_key(texts: Texts) -> Texts:
    """A hashable form of a row's texts; equal for rows with the same texts."""
    return tuple(sorted(map(normalise, texts)))
