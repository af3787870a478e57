"""Keeps rows that are scored out of the train split: a student that has learned a row, or a prompt that shows it, knows its answer.

Which rows match scored ones is decided by the rule that written texts are held against too (`japagen.curation.contamination`); it is handed
in. A train file that is mostly the scored file is refused under any rule. Labels aren't looked at.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from japagen.config.schema import Data
from japagen.errors import DataError
from japagen.gold.splits import Split, rows_checksum
from japagen.prompts.replies import normalise
from japagen.tasks import Task

MOST_SHARED = 0.5
"""Share of the train rows that may be scored rows; above it the files are taken for the same one, and refused."""

Texts = tuple[str, ...]
Matches = Callable[[Sequence[Texts]], list[bool]]
"""Whether any text of each row matches a scored one."""


def part_from_scored(task: Task, data: Data, train: Split, scored: Sequence[Split], matches: Matches, contamination: str) -> Split:
    """`train` without the rows that match scored ones; its notes say how many, `matched` by label.

    contamination: curate.contamination. Rows are left out where it is drop, counted where it is drop or report; where it is off, rows that
    are scored rows as a whole are noted. Raises DataError where more than half of the rows are, or where drop leaves a class no row.
    """
    rows, where = [example.texts for example in train.examples], ", ".join(split.source for split in scored)
    keys = {_row_key(texts) for split in scored for texts in _texts(split)}
    num_whole = sum(_row_key(texts) in keys for texts in rows)
    whole = f"{num_whole} of {len(rows)} train rows ({train.source}) are also scored rows ({where})"
    if num_whole > MOST_SHARED * len(rows):
        raise DataError(f"{whole}: the score would show what the student or the prompt has seen; {_cure(data)}")
    if contamination == "off":
        note = f"warning: {whole}; curate.contamination=off keeps them in training and prompts"
        return replace(train, notes=(*train.notes, note)) if num_whole else train
    matching = matches(rows)
    if not any(matching):
        return train
    matched = dict(Counter(example.label for example, match in zip(train.examples, matching, strict=True) if match))
    found = f"{sum(matching)} of {len(rows)} train rows ({train.source}) match scored rows ({where})"
    if contamination == "report":
        note = f"{found}; curate.contamination=report keeps them in training and prompts"
        return replace(train, notes=(*train.notes, note), matched=matched)
    left = tuple(example for example, match in zip(train.examples, matching, strict=True) if not match)
    emptied = matched.keys() - {example.label for example in left}
    if not left or (emptied and not task.is_regression):
        raise DataError(f"{found}, and label {min(emptied)!r} has no other train row; {_cure(data)}")
    note = f"{found}; they are left out of training and prompts"
    notes = (*train.notes, note)
    return replace(train, examples=left, checksum=rows_checksum(left), notes=notes, matched=matched, num_left_out=len(rows) - len(left))


def check_texts_left(task: Task, data: Data, unlabelled: Sequence[Texts], scored: Sequence[Split], matches: Matches) -> None:
    """Raises DataError where every unlabelled text (or pair) matches a scored one: none would be left to train on."""
    if unlabelled and scored and all(matches(unlabelled)):
        where = ", ".join(split.source for split in scored)
        raise DataError(
            f"task {task.name!r}: all {len(unlabelled)} unlabelled texts ({data.unlabelled_file or 'the train split'}) match scored rows"
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


def _row_key(texts: Texts) -> Texts:
    """A hashable form of a row's texts; equal for rows with the same texts, of a pair in either order."""
    return tuple(sorted(map(normalise, texts)))
