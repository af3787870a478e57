"""What an LLM's judgement of the labels does to the rows: drop those it disagrees with, relabel them, or soften their labels.

In: examples, and for each the probability that the judge gives to every label. Out: the rows that stay, and what was done to
how many. It never asks for more texts: what is left is what the student learns from.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from japagen.errors import GenerationError, check_choice
from japagen.tasks import Example, Task, nearest_level

ACTIONS = ("drop", "replace", "soften")

JUDGED_OTHERWISE = "judged otherwise"
"""Dropped: the judge finds the row's label less probable than the threshold."""
NOT_JUDGED = "not judged"
"""Dropped: the judge's answer names no label, or gives no probabilities that sum to 1."""
RELABELLED = "relabelled"
"""Kept with another label than it was written for (regression: the level nearest to its new score)."""
SOFTENED = "softened"
"""Kept with its label, but the judge finds another one more probable."""

MOST_UNANSWERED = 0.5
"""A judge that leaves more than this share of the rows without a usable answer isn't believed on the others either."""
_SUM_TOLERANCE = 1e-3

Counts = dict[str, dict[str, int]]
"""label -> reason -> rows; the label is the one that the row had before. Every label of the task is a key."""


@dataclass(frozen=True)
class Judged:
    """The rows after judging."""

    examples: tuple[Example, ...]
    """In the order in which they came."""
    rejects: Counts
    """Rows dropped: JUDGED_OTHERWISE, NOT_JUDGED."""
    changes: Counts
    """Rows kept that the judge sees otherwise: RELABELLED, SOFTENED."""


def judge_examples(
    task: Task, examples: Sequence[Example], probs: Mapping[str, tuple[float, ...] | None], action: str, threshold: float
) -> Judged:
    """The rows after `action` (curate.judging). A row without a usable answer is dropped, whatever the action.

    probs: example id -> the judge's probability of each label, in the task's order; None: no usable answer. Holds every id.
    Classification
        drop     a row stays where its own label has at least `threshold`
        replace  the most probable label is taken where it has at least `threshold`, else the row keeps its own; a row's own
                 label wins a tie
        soften   the row keeps its label, and gets the judge's probabilities
    Regression: drop goes by the probability of the row's level. replace and soften do the same: the score becomes the mean of
    the levels' scores under the judge's probabilities, the label the nearest level; `threshold` isn't read.
    Raises GenerationError when the judge answered nothing usable for more than half of the rows, or when a label that had
    rows is left with none (not for a regression's new scores: where all rows are moderate, that is what the judge says).
    """
    check_choice("curate.judging", action, ACTIONS)
    answers = {example.id: _usable(task, probs[example.id]) for example in examples}
    _check_answered(task, examples, answers)
    kept: list[Example] = []
    rejects: dict[str, Counter[str]] = defaultdict(Counter)
    changes: dict[str, Counter[str]] = defaultdict(Counter)
    for example in examples:
        answer = answers[example.id]
        if answer is None:
            rejects[example.label][NOT_JUDGED] += 1
        elif action == "drop" and answer[task.label_names.index(example.label)] < threshold:
            rejects[example.label][JUDGED_OTHERWISE] += 1
        else:
            judged, change = (example, "") if action == "drop" else _changed(task, example, answer, action, threshold)
            kept.append(judged)
            if change:
                changes[example.label][change] += 1
    if action == "drop" or not task.is_regression:
        _check_labels_left(task, examples, kept, rejects, changes, f"curate.judging={action}, curate.judge_threshold={threshold}")
    return Judged(tuple(kept), _plain(task, rejects), _plain(task, changes))


def _usable(task: Task, answer: tuple[float, ...] | None) -> tuple[float, ...] | None:
    """`answer`, unless it isn't a distribution over the labels."""
    if answer is None:
        return None
    if len(answer) != len(task.labels):
        raise ValueError(f"{len(answer)} probabilities for the {len(task.labels)} labels of task {task.name!r}")
    is_distribution = all(math.isfinite(value) and value >= 0 for value in answer) and abs(sum(answer) - 1) <= _SUM_TOLERANCE
    return answer if is_distribution else None


def _changed(task: Task, example: Example, answer: tuple[float, ...], action: str, threshold: float) -> tuple[Example, str]:
    """The row as the judge sees it, and the reason under which that counts; '' where it agrees."""
    if task.is_regression:
        score = sum(value * level for value, level in zip(answer, task.label_scores(), strict=True)) / sum(answer)
        level = nearest_level(task, score).name
        return replace(example, label=level, score=score), RELABELLED if level != example.label else ""
    own = answer[task.label_names.index(example.label)]
    highest = max(answer)
    agrees = own == highest
    if action == "soften":
        return replace(example, probs=answer), "" if agrees else SOFTENED
    if agrees or highest < threshold:
        return example, ""
    return replace(example, label=task.label_names[answer.index(highest)]), RELABELLED


def _check_answered(task: Task, examples: Sequence[Example], answers: Mapping[str, tuple[float, ...] | None]) -> None:
    missing = Counter(example.label for example in examples if answers[example.id] is None)
    if missing.total() <= MOST_UNANSWERED * len(examples):
        return
    rows = Counter(example.label for example in examples)
    shown = ", ".join(f"{name}: {missing[name]} of {rows[name]}" for name in task.label_names if rows[name])
    raise GenerationError(
        f"task {task.name!r}: curate.judging: the judge gave no usable answer for {missing.total()} of {len(examples)} rows ({shown});"
        " look at its answers in the store, take another one (+llm@judge=NAME), or set curate.judging=off"
    )


def _check_labels_left(
    task: Task, examples: Sequence[Example], kept: Sequence[Example], rejects: Mapping[str, Counter[str]],
    changes: Mapping[str, Counter[str]], setting: str,
) -> None:  # fmt: skip
    before, after = (Counter(example.label for example in rows) for rows in (examples, kept))
    emptied = [name for name in task.label_names if before[name] and not after[name]]
    if not emptied:
        return
    name = emptied[0]
    done = ", ".join(f"{reason} {count}" for counts in (rejects, changes) if name in counts for reason, count in counts[name].items())
    rows = ", ".join(f"{label}: {after[label]} of {before[label]}" for label in task.label_names)
    raise GenerationError(
        f"task {task.name!r}: {setting}: of the {before[name]} rows of label {name!r} none is left ({done}; rows left: {rows});"
        " lower curate.judge_threshold, take another judge (+llm@judge=NAME), or set curate.judging=soften"
    )


def _plain(task: Task, counts: Mapping[str, Counter[str]]) -> Counts:
    return {name: dict(sorted(counts[name].items())) if name in counts else {} for name in task.label_names}
