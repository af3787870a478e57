"""What gives a label away without reading the text: one sentence of a pair alone, a text's length, or its last characters.

A model that sees so little should do no better than the majority; where it does, a student may learn that in place of the task
(Gururangan et al. 2018; Poliak et al. 2018). Written texts are prone to it: an LLM ends texts of one label alike, or writes one longer.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from japagen.evaluation.baselines import few_leaves, jaccard, tfidf
from japagen.evaluation.metrics import Predictions, score
from japagen.prompts.replies import normalise
from japagen.quality.samples import SEED, draw, summarise
from japagen.tasks import Example, Task

MOST_ROWS = 1000
"""Rows that the probe is fitted to and scored on, a seeded draw: about ten seconds."""
NUM_FOLDS = 5
NUM_LAST = 5
"""Characters at a text's end."""

_FitPredict = Callable[[Task, Sequence[Example], Sequence[Example]], Predictions]


def overlap_by_label(task: Task, rows: Sequence[Example]) -> dict[str, dict[str, Any] | None]:
    """label -> summary of the Jaccard similarity of a pair's characters; None for a label without rows."""
    return {name: summarise([jaccard(*row.texts) for row in rows if row.label == name]) for name in task.label_names}


def partial_reading(task: Task, rows: Sequence[Example]) -> dict[str, Any] | None:
    """The task's metric of models that read one part of a row alone, by part, and the majority's (regression: the mean's).

    Parts of a pair are its fields, read by a linear TF-IDF model. Parts of a single text are its `length` in characters, by a tree of few
    leaves, and its `last 5 characters`, by the TF-IDF model. Cross-validated on `rows`; rows that share a text, directly or through
    others, stay in one fold, so that none is known by heart. None where nothing can be held out, since such groups are fewer than two or
    labels have fewer than four rows on average, and where all labels are the same.
    """
    sample = draw(rows, MOST_ROWS)
    groups = sharing(sample)
    num_groups = len(set(groups))
    num_labels = len({row.label for row in sample})
    if num_groups < 2 or (not task.is_regression and not 2 <= num_labels <= len(sample) / 4):
        return None
    num_folds = min(NUM_FOLDS, num_groups)
    fold_of = np.random.default_rng(SEED).permutation(num_groups) % num_folds
    folds = [int(fold_of[group]) for group in groups]
    found: dict[str, Any] = {"metric": task.metric, "n": len(sample), "seed": SEED, "folds": num_folds, "parts": {}}
    for part, (cut, fit_predict) in _parts(task).items():
        alone = [replace(row, texts=cut(row.texts)) for row in sample]
        found["parts"][part] = score(task, alone, _held_out(task, alone, folds, fit_predict))[task.metric]
    found["majority"] = score(task, sample, _constant(task, sample))[task.metric]
    return found


def _parts(task: Task) -> Mapping[str, tuple[Callable[[tuple[str, ...]], tuple[str, ...]], _FitPredict]]:
    """Part -> (what is cut out of a row's texts, the model that reads it)."""
    if task.is_pair:
        return {task.fields[0]: (lambda texts: texts[:1], tfidf), task.fields[1]: (lambda texts: texts[1:], tfidf)}
    return {"length": (lambda texts: texts, _by_length), f"last {NUM_LAST} characters": (lambda texts: (texts[0][-NUM_LAST:],), tfidf)}


def _by_length(task: Task, rows: Sequence[Example], others: Sequence[Example]) -> Predictions:
    """What a tree of few leaves makes of the number of characters."""
    return few_leaves(task, rows, [len(row.texts[0]) for row in rows], [len(row.texts[0]) for row in others])


def sharing(rows: Sequence[Example]) -> list[int]:
    """Each row's group, from 0: rows that share a text, directly or through others, are of one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    nodes: dict[str, int] = {}
    edges = [[nodes.setdefault(normalise(text), len(nodes)) for text in (row.texts[0], row.texts[-1])] for row in rows]
    starts, ends = zip(*edges, strict=True) if edges else ((), ())
    graph = coo_array((np.ones(len(edges)), (starts, ends)), shape=(len(nodes), len(nodes)))
    component = connected_components(graph, directed=False)[1]
    return [int(component[start]) for start in starts]


def _held_out(task: Task, rows: Sequence[Example], folds: Sequence[int], fit_predict: _FitPredict) -> Predictions:
    """Each row's prediction by the model fitted to the other folds."""
    predictions: dict[int, Any] = {}
    for fold in sorted(set(folds)):
        indices = [index for index, other in enumerate(folds) if other == fold]
        others = [row for row, other in zip(rows, folds, strict=True) if other != fold]
        predictions |= zip(indices, fit_predict(task, others, [rows[index] for index in indices]), strict=True)
    return [predictions[index] for index in range(len(rows))]


def _constant(task: Task, rows: Sequence[Example]) -> Predictions:
    if task.is_regression:
        return [0.0] * len(rows)
    return [Counter(row.label for row in rows).most_common(1)[0][0]] * len(rows)
