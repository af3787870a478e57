"""How a data set compares with gold rows: label frequencies, length, nearest neighbours. Of gold rows only ids and figures come out."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from japagen.quality.samples import SEED, draw, ks_distance, summarise
from japagen.tasks import Example, Task

SYNTHETIC_SAMPLE = 1000
GOLD_SAMPLE = 5000
"""Neighbours are looked for among so many gold rows at most."""
THRESHOLDS = (0.5, 0.8)
"""Cosines from which a row counts as close to gold, and as nearly the same."""
NUM_CLOSEST = 5
_CHUNK = 200
"""Rows compared with all gold rows at a time: bounds memory."""


def balance(task: Task, rows: Sequence[Example], gold: Sequence[Example] | None) -> dict[str, dict[str, Any]]:
    """label -> rows, share, weighted_share (by weights and soft labels, as training counts them), gold_rows and gold_share."""
    counts, weights = Counter(row.label for row in rows), label_weights(task, rows)
    gold_counts = None if gold is None else Counter(row.label for row in gold)
    found = {}
    for name, weight in zip(task.label_names, weights, strict=True):
        found[name] = {
            "rows": counts[name],
            "share": counts[name] / max(1, len(rows)),
            "weighted_share": float(weight),
            "gold_rows": None if gold_counts is None else gold_counts[name],
            "gold_share": None if gold_counts is None else gold_counts[name] / gold_counts.total(),
        }
    return found


def label_weights(task: Task, rows: Sequence[Example]) -> np.ndarray:
    """(C,) float64 that sums to 1: what each label counts in the loss, in the task's order; zeros for no rows."""
    weights, classes = np.zeros(len(task.labels)), {name: index for index, name in enumerate(task.label_names)}
    for row in rows:
        if row.probs is not None:
            weights += row.weight * np.asarray(row.probs)
        else:
            weights[classes[row.label]] += row.weight
    return weights / max(weights.sum(), 1e-12)


def lengths(task: Task, rows: Sequence[Example], gold: Sequence[Example] | None) -> dict[str, dict[str, Any]]:
    """field -> characters of the rows and of gold, their Kolmogorov-Smirnov distance, and the rows' mean by label.

    A mean that differs much between labels gives the label away.
    """
    found = {}
    for position, field in enumerate(task.fields):
        own = [len(row.texts[position]) for row in rows]
        other = [len(row.texts[position]) for row in gold or ()]
        by_label = {name: [len(row.texts[position]) for row in rows if row.label == name] for name in task.label_names}
        found[field] = {
            "synthetic": summarise(own),
            "gold": summarise(other),
            "ks_distance": ks_distance(own, other),
            "mean_by_label": {name: float(np.mean(numbers)) if numbers else None for name, numbers in by_label.items()},
        }
    return found


def neighbours(rows: Sequence[Example], gold: Sequence[Example]) -> dict[str, Any]:
    """Cosine of each sampled row to its closest gold row, by TF-IDF of character 2-grams and 3-grams (a pair's texts joined).

    `gold_to_gold`: the same for gold rows and their closest other one, which is usual within the task; None for a single row.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    sample, references = draw(rows, SYNTHETIC_SAMPLE), draw(gold, GOLD_SAMPLE)
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(2, 3), lowercase=False, sublinear_tf=True, dtype=np.float32)
    features = vectorizer.fit_transform([_joined(row) for row in (*sample, *references)])
    own, others = features[: len(sample)], features[len(sample) :]
    cosines, closest = _closest(own, others, others_are_own=False)
    order = np.argsort(-cosines, kind="stable")[:NUM_CLOSEST]
    found = _nearness(cosines) | {"seed": SEED, "gold_rows": len(references)}
    found["closest"] = [
        {"id": sample[index].id, "gold_id": references[closest[index]].id, "cosine": float(cosines[index])} for index in order
    ]
    found["gold_to_gold"] = None
    if len(references) > 1:
        found["gold_to_gold"] = _nearness(_closest(others[:SYNTHETIC_SAMPLE], others, others_are_own=True)[0])
    return found


def _joined(row: Example) -> str:
    return "\n".join(row.texts)


def _closest(features: Any, others: Any, others_are_own: bool) -> tuple[np.ndarray, np.ndarray]:
    """Highest cosine of each row and the index of the row it is to; `others_are_own`: row i is `others`' row i, which doesn't count."""
    cosines, closest = [], []
    for start in range(0, features.shape[0], _CHUNK):
        similarity = (features[start : start + _CHUNK] @ others.T).toarray()
        if others_are_own:
            own = np.arange(similarity.shape[0])
            similarity[own, own + start] = -1.0
        closest.append(similarity.argmax(axis=1))
        cosines.append(similarity.max(axis=1).clip(0, 1))
    return np.concatenate(cosines), np.concatenate(closest)


def _nearness(cosines: np.ndarray) -> dict[str, Any]:
    shares = {f"{threshold:g}": float((cosines >= threshold).mean()) for threshold in THRESHOLDS}
    return {"cosine": summarise(cosines.tolist()), "share_from": shares}
