"""What gives a pair's label away without reading the pair: one sentence alone, and how much the two overlap.

A model that sees one sentence only should do no better than the majority (Gururangan et al. 2018; Poliak et al. 2018).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from japagen.evaluation.baselines import jaccard, tfidf
from japagen.evaluation.metrics import Predictions, score
from japagen.prompts.replies import normalise
from japagen.quality.samples import SEED, draw, summarise
from japagen.tasks import Example, Task

MOST_ROWS = 1000
"""Rows that the probe is fitted to and scored on, a seeded draw: about ten seconds."""
NUM_FOLDS = 5


def overlap_by_label(task: Task, rows: Sequence[Example]) -> dict[str, dict[str, Any] | None]:
    """label -> summary of the Jaccard similarity of a pair's characters; None for a label without rows."""
    return {name: summarise([jaccard(*row.texts) for row in rows if row.label == name]) for name in task.label_names}


def one_text_only(task: Task, rows: Sequence[Example]) -> dict[str, Any] | None:
    """The task's metric of a linear TF-IDF model that reads one field alone, by field, and the majority's (regression: the mean's).

    Cross-validated on `rows`; pairs that share a sentence, directly or through others, stay in one fold, so that no sentence is known by
    heart. None where such groups are fewer than two and nothing can be held out, or all labels are the same.
    """
    sample = draw(rows, MOST_ROWS)
    groups = sharing(sample)
    num_groups = len(set(groups))
    if num_groups < 2 or (not task.is_regression and len({row.label for row in sample}) < 2):
        return None
    num_folds = min(NUM_FOLDS, num_groups)
    fold_of = np.random.default_rng(SEED).permutation(num_groups) % num_folds
    folds = [int(fold_of[group]) for group in groups]
    found: dict[str, Any] = {"metric": task.metric, "n": len(sample), "seed": SEED, "folds": num_folds, "fields": {}}
    for position, field in enumerate(task.fields):
        alone = [replace(row, texts=(row.texts[position],)) for row in sample]
        found["fields"][field] = score(task, alone, _held_out(task, alone, folds))[task.metric]
    found["majority"] = score(task, sample, _constant(task, sample))[task.metric]
    return found


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


def _held_out(task: Task, rows: Sequence[Example], folds: Sequence[int]) -> Predictions:
    """Each row's prediction by the model fitted to the other folds."""
    predictions: dict[int, Any] = {}
    for fold in sorted(set(folds)):
        indices = [index for index, other in enumerate(folds) if other == fold]
        others = [row for row, other in zip(rows, folds, strict=True) if other != fold]
        predictions |= zip(indices, tfidf(task, others, [rows[index] for index in indices]), strict=True)
    return [predictions[index] for index in range(len(rows))]


def _constant(task: Task, rows: Sequence[Example]) -> Predictions:
    if task.is_regression:
        return [0.0] * len(rows)
    return [Counter(row.label for row in rows).most_common(1)[0][0]] * len(rows)
