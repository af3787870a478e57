"""Exemplars, gold subsets and held-out rows: which rows of a train split are taken, by seed.

Rows are ranked by a hash of seed and content, so a draw doesn't depend on the file's order or the Python version, and
draws of different sizes are nested: the 1-shot exemplars are the first of the 3-shot ones.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence

from japagen.errors import ConfigError, DataError
from japagen.gold.splits import Split
from japagen.tasks import Example, Label, Task

MAX_LEVEL_DISTANCE = 0.3
"""Regression: a row may be an exemplar of level y where |score - y| is at most this."""


def draw_exemplars(task: Task, train: Split, shots: int, seed: int) -> dict[str, tuple[Example, ...]]:
    """Label name -> exactly `shots` rows with texts of their own, in the labels' order.

    Regression: for level y, rows with |score - y| <= 0.3 to which no other level is closer; the true score is kept.
    Raises ConfigError, naming `shots`, where a label has fewer such rows; DataError where scored rows were left out.
    """
    exemplars = {}
    for label in task.labels:
        fitting: dict[tuple[str, ...], Example] = {}
        for example in _ranked(train.examples, seed, label.name):
            if _shows(label, example):
                fitting.setdefault(example.texts, example)
        if len(fitting) < shots:
            near = f" within {MAX_LEVEL_DISTANCE} of its score" if task.is_regression else ""
            raise _too_few("shots", shots, label, len(fitting), f"different rows{near}", train)
        exemplars[label.name] = tuple(fitting.values())[:shots]
    return exemplars


def _shows(label: Label, example: Example) -> bool:
    if example.label != label.name:
        return False
    if label.score is None or example.score is None:
        return True
    return abs(example.score - label.score) <= MAX_LEVEL_DISTANCE + 1e-9  # 1 - 0.7 is 0.30000000000000004


def draw_per_label(task: Task, train: Split, num_per_label: int, seed: int) -> tuple[Example, ...]:
    """`num_per_label` rows of each label (regression: rows whose nearest level it is), label by label.

    Raises ConfigError, naming `gold_per_label`, where a label has fewer rows; DataError where scored rows were left out.
    """
    drawn: list[Example] = []
    for label in task.labels:
        rows = [example for example in _ranked(train.examples, seed, label.name) if example.label == label.name]
        if len(rows) < num_per_label:
            raise _too_few("gold_per_label", num_per_label, label, len(rows), "rows", train)
        drawn += rows[:num_per_label]
    return tuple(drawn)


def draw_texts(texts: Sequence[tuple[str, ...]], num: int | None, seed: int) -> tuple[tuple[str, ...], ...]:
    """`num` of the different texts (None: all of them), in the given order. Raises ConfigError where there are fewer."""
    different = list(dict.fromkeys(texts))
    if num is None:
        return tuple(different)
    if num > len(different):
        raise ConfigError(f"method.num_texts={num} is too many: there are {len(different)} different unlabelled texts")
    chosen = set(sorted(different, key=lambda texts_of_row: _rank(seed, "texts", texts_of_row))[:num])
    return tuple(texts_of_row for texts_of_row in different if texts_of_row in chosen)


def hold_out(examples: Sequence[Example], fraction: float, seed: int) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """(train, valid), both in the given order; `fraction` (above 0, below 1) of the rows, or somewhat less, are in valid.

    Rows with the same first sentence stay together. Where each such group is larger than that share, valid is one of the
    smallest. Raises DataError for rows that all share one first sentence: they can't be parted.
    """
    assert 0 < fraction < 1
    groups: dict[str, int] = {}
    for example in examples:
        groups[example.texts[0]] = groups.get(example.texts[0], 0) + 1
    if len(groups) < 2:
        raise DataError(
            f"{len(examples)} row(s) with {len(groups)} different first text(s) can't be parted into train and valid; give more rows, or"
            " set gold_per_label to a number, which holds none back"
        )
    num_free, held = max(1, round(fraction * len(examples))), set()
    ranked = sorted(groups, key=lambda first: _rank(seed, "hold_out", [first]))
    for first in ranked:
        if groups[first] <= num_free:
            held.add(first)
            num_free -= groups[first]
    held = held or {min(ranked, key=lambda first: groups[first])}
    return tuple(e for e in examples if e.texts[0] not in held), tuple(e for e in examples if e.texts[0] in held)


def _ranked(examples: Iterable[Example], seed: int, purpose: str) -> list[Example]:
    return sorted(examples, key=lambda example: _rank(seed, purpose, example.texts))


def _rank(seed: int, purpose: str, texts: Sequence[str]) -> str:
    content = json.dumps([seed, purpose, list(texts)])
    return hashlib.sha256(content.encode()).hexdigest()


def _too_few(key: str, asked: int, label: Label, num_found: int, what: str, train: Split) -> ConfigError | DataError:
    found = f"label {label.name!r} has {num_found} {what} in {train.source}"
    if train.num_left_out:
        cure = f"allowed: up to {num_found}, or set data.train_file to a file with other rows"
        return DataError(f"{key}={asked} is too many: {found} that match no scored row ({train.notes[-1]}); {cure}")
    return ConfigError(f"{key}={asked} is too many: {found}; allowed: up to {num_found}")
