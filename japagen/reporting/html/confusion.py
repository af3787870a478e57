"""Where predictions and gold labels part: confusion matrices (of many labels the most frequent pairs), and for regression the mean
prediction of each level.

Read from predictions.parquet: ids, gold labels and predictions; there are no texts in it.
"""

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from japagen.evaluation.confusions import MANY_LABELS, ConfusedPair, most_confused, never_predicted
from japagen.reporting.benchmarks import Benchmark, benchmarks_of
from japagen.reporting.report import Report
from japagen.reporting.setting_names import setting_names
from japagen.store.store import Store
from japagen.tasks import Task, nearest_level

NO_ANSWER = "no answer"


@dataclass(frozen=True)
class Matrix:
    """One setting's counts over all its runs: gold labels down, predictions across."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, int, tuple[int, ...]], ...]
    """(gold label, its rows, counts in the columns' order)."""
    num_runs: int


@dataclass(frozen=True)
class Pairs:
    """One setting's most frequent confusions over all its runs, where a matrix would have too many labels."""

    name: str
    pairs: tuple[ConfusedPair, ...]
    num_rows: int
    num_wrong: int
    num_kinds: int
    """Different pairs in all."""
    never: tuple[str, ...]
    """Labels with gold rows that no run predicted."""
    num_runs: int


@dataclass(frozen=True)
class Levels:
    """One regression setting: (rows, mean prediction, standard deviation) of each level; the mean is None for a level without rows."""

    name: str
    levels: tuple[tuple[int, float | None, float | None], ...]


@dataclass(frozen=True)
class Confusion:
    """All settings of one benchmark."""

    benchmark: Benchmark
    matrices: tuple[Matrix, ...]
    pairs: tuple[Pairs, ...]
    """In place of matrices where the task has more than MANY_LABELS labels."""
    names: tuple[str, ...]
    """Regression: the levels."""
    levels: tuple[Levels, ...]
    missing: tuple[str, ...]
    """Settings whose predictions the store doesn't have."""


def confusions(report: Report, store: Store) -> list[Confusion]:
    """One a benchmark, in the runs' order."""
    return [_confusion(report, benchmark, store) for benchmark in benchmarks_of(report.groups)]


def _confusion(report: Report, benchmark: Benchmark, store: Store) -> Confusion:
    task = report.config_of(benchmark.groups[0].results[0]).task
    matrices, confused, levels, missing = [], [], [], []
    for group, name in zip(benchmark.groups, setting_names(benchmark.groups), strict=True):
        files = [(result.keys.get("result", "-"), result.scores_on(benchmark.split).predictions_file) for result in group.results]
        read = [_read(store.path("result", key) / file) for key, file in files]
        pairs = [pair for found in read if found is not None for pair in found]
        if not pairs:
            missing.append(name)
        elif task.is_regression:
            levels.append(Levels(name, _levels(task, pairs)))
        else:
            num_runs = sum(found is not None for found in read)
            if len(task.labels) > MANY_LABELS:
                confused.append(_pairs(task, name, pairs, num_runs))
            else:
                matrices.append(_matrix(task, name, pairs, num_runs))
    return Confusion(benchmark, tuple(matrices), tuple(confused), tuple(task.label_names), tuple(levels), tuple(missing))


def _read(path: Path) -> list[tuple[Any, Any]] | None:
    """(gold, prediction) of each row; None where there is no such file."""
    import pyarrow.parquet as pq

    if not path.is_file():
        return None
    table = pq.read_table(path, columns=["gold", "prediction"])
    return list(zip(table["gold"].to_pylist(), table["prediction"].to_pylist(), strict=True))


def _matrix(task: Task, name: str, pairs: Sequence[tuple[str, str]], num_runs: int) -> Matrix:
    counts = Counter((gold, predicted or NO_ANSWER) for gold, predicted in pairs)
    others = sorted({label for pair in counts for label in pair} - set(task.label_names) - {NO_ANSWER})
    columns = [*task.label_names, *others, *([NO_ANSWER] if any(predicted == NO_ANSWER for _, predicted in counts) else [])]
    rows = [(gold, tuple(counts[gold, predicted] for predicted in columns)) for gold in columns if gold != NO_ANSWER]
    return Matrix(name, tuple(columns), tuple((gold, sum(found), found) for gold, found in rows if sum(found)), num_runs)


def _pairs(task: Task, name: str, rows: Sequence[tuple[str, str]], num_runs: int) -> Pairs:
    gold, predicted = [label for label, _ in rows], [found or NO_ANSWER for _, found in rows]
    wrong = [row for row in zip(gold, predicted, strict=True) if row[0] != row[1]]
    never = never_predicted(task.label_names, gold, predicted)
    return Pairs(name, tuple(most_confused(gold, predicted)), len(rows), len(wrong), len(set(wrong)), tuple(never), num_runs)


def _levels(task: Task, pairs: Sequence[tuple[float, float]]) -> tuple[tuple[int, float | None, float | None], ...]:
    found: dict[str, list[float]] = {name: [] for name in task.label_names}
    for gold, predicted in pairs:
        if math.isfinite(predicted):
            found[nearest_level(task, gold).name].append(predicted)
    return tuple(
        (len(predicted), *((statistics.fmean(predicted), statistics.pstdev(predicted)) if predicted else (None, None)))
        for predicted in found.values()
    )
