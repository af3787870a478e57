"""Scores to hold beside every student and every prompt: what little it takes to reach them.

majority   the best constant answer: the gold rows' own most frequent label (an oracle, so the bar is never too low);
           regression: the training rows' mean
overlap    pairs only: Jaccard similarity of the two texts' characters. Regression: the similarity itself, which needs no
           training (Spearman 0.70 on JSTS valid); classification: a small decision tree on that one number
tfidf      character n-grams of 1 to 3, weighted by TF-IDF, and a linear model on the same training rows
pair_features        pairs only: overlap, length and negation in 14 numbers, and a linear model on the same training rows
frozen               the student's own encoder without training: the cosine of a scored pair's two vectors, else a linear model
                     on mean-pooled vectors, learned from the same training rows
nearest_description  classification of single texts: the label whose description is nearest by the same encoder; no row is learned

The last two need an encoder, so where an LLM answers itself they are absent. All are deterministic, and without an encoder take a
few seconds for 2,000 rows.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from japagen.evaluation.linear import at_most, fit_classifier, fit_predict
from japagen.evaluation.metrics import Predictions, evaluate, gold_value
from japagen.evaluation.pair_features import pair_features
from japagen.evaluation.vectors import MAX_ROWS as MAX_ENCODED_ROWS
from japagen.evaluation.vectors import Encode, can_describe, frozen, nearest_description
from japagen.tasks import Example, Task

BASELINES = {
    "majority": "the best constant answer",
    "overlap": "the characters that a pair shares",
    "tfidf": "a linear model on character n-grams",
    "pair_features": "a linear model on a pair's overlap, lengths and negation",
    "frozen": "the student's encoder without training (a scored pair's cosine, else a linear model on its vectors)",
    "nearest_description": "the label whose description is nearest by that encoder, without any row",
}
"""Every baseline in the order of tables, in words."""

MAX_ROWS = 25_000
"""The TF-IDF model learns from at most so many rows, a seeded draw of them: about a minute."""
_MAX_FEATURES = 50_000
"""n-grams kept, the most frequent ones."""


def baselines(
    task: Task, rows: Sequence[Example], gold: Sequence[Example], encode: Encode | None = None, seed: int = 0, num_resamples: int = 1000
) -> dict[str, dict[str, dict[str, float] | None]]:
    """{baseline: {metric: {value, low, high} or None}} of each baseline that the task, `rows` and `encode` allow, as in BASELINES.

    rows: the student's training rows; without any only what needs none is scored: the majority of labels, a regression's overlap and
    cosine, the nearest description. gold: the rows that are scored; their labels enter nothing but the scores and the majority.
    encode: the untrained encoder of the student, if there is one; what it raises is raised.
    """
    if not gold:
        return {}
    predictions: dict[str, Predictions] = {}
    if rows or not task.is_regression:
        predictions["majority"] = majority(task, rows, gold)
    if task.is_pair and (rows or task.is_regression):
        predictions["overlap"] = overlap(task, rows, gold)
    if rows:
        predictions["tfidf"] = tfidf(task, rows, gold)
    if task.is_pair and rows:
        predictions["pair_features"] = linear_on_pairs(task, rows, gold)
    if encode is not None and (rows or (task.is_pair and task.is_regression)):
        predictions["frozen"] = frozen(task, at_most(rows, MAX_ENCODED_ROWS), gold, encode)
    if encode is not None and can_describe(task):
        predictions["nearest_description"] = nearest_description(task, [row.texts[0] for row in gold], encode)
    return {name: evaluate(task, gold, guess, seed, num_resamples) for name, guess in predictions.items()}


def majority(task: Task, rows: Sequence[Example], gold: Sequence[Example]) -> Predictions:
    """For each gold row the most frequent gold label (the task's first one of a tie), or the mean score of `rows`."""
    if task.is_regression:
        return [float(np.mean([gold_value(task, row) for row in rows]))] * len(gold)
    counts = Counter(row.label for row in gold)
    return [max(task.label_names, key=lambda name: counts[name])] * len(gold)


def overlap(task: Task, rows: Sequence[Example], gold: Sequence[Example]) -> Predictions:
    """Regression: each pair's similarity, 0 to 1; classification: what a tree of few leaves, fitted to `rows`, makes of it."""
    similarities = [jaccard(*example.texts) for example in gold]
    if task.is_regression:
        return similarities
    return few_leaves(task, rows, [jaccard(*row.texts) for row in rows], similarities)


def few_leaves(task: Task, rows: Sequence[Example], values: Sequence[float], gold_values: Sequence[float]) -> Predictions:
    """What a decision tree on one number a row predicts, two leaves a label at most; `values`: of the rows that it is fitted to."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    options: dict[str, Any] = {"max_leaf_nodes": 2 * len(task.labels), "min_samples_leaf": max(1, len(rows) // 50), "random_state": 0}
    column, gold_column = [[value] for value in values], [[value] for value in gold_values]
    if task.is_regression:
        regressor = DecisionTreeRegressor(**options).fit(column, [gold_value(task, row) for row in rows])
        return [float(value) for value in regressor.predict(gold_column)]
    classifier = DecisionTreeClassifier(**options).fit(column, [row.label for row in rows])
    return [str(label) for label in classifier.predict(gold_column)]


def jaccard(first: str, second: str) -> float:
    """Characters that both texts have, over characters that either has; 1 for two empty texts."""
    both, either = set(first) & set(second), set(first) | set(second)
    return len(both) / len(either) if either else 1.0


def tfidf(task: Task, rows: Sequence[Example], gold: Sequence[Example]) -> Predictions:
    """A linear model on character n-grams of `rows`; with one label only among them, that label.

    Pairs: the blocks of both texts, then what they share and in what they differ, so that a linear model can compare them.
    """
    from sklearn.linear_model import Ridge

    rows = at_most(rows, MAX_ROWS)
    if not task.is_regression and len({row.label for row in rows}) < 2:
        return [rows[0].label] * len(gold)
    features, gold_features = ngram_features(rows, gold)
    if not task.is_regression:
        classifier = fit_classifier(features, [row.label for row in rows])
        return [str(label) for label in classifier.predict(gold_features)]
    ridge = Ridge(alpha=1.0, tol=1e-3).fit(features, [gold_value(task, row) for row in rows])
    levels = task.label_scores()
    return [float(value) for value in ridge.predict(gold_features).clip(min(levels), max(levels))]


def linear_on_pairs(task: Task, rows: Sequence[Example], gold: Sequence[Example]) -> Predictions:
    """A linear model on `pair_features`, fitted to `rows`."""
    rows = at_most(rows, MAX_ROWS)
    return fit_predict(task, rows, pair_features(rows, task.language), pair_features(gold, task.language))


def ngram_features(rows: Sequence[Example], gold: Sequence[Example]) -> tuple[Any, Any]:
    """Sparse (rows, F) and (gold, F) float32; the n-grams and their weights come from `rows` only, and no label is read."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        analyzer="char", ngram_range=(1, 3), lowercase=False, sublinear_tf=True, max_features=_MAX_FEATURES, dtype=np.float32
    )
    vectorizer.fit([text for row in rows for text in row.texts])
    return _blocks(vectorizer, rows), _blocks(vectorizer, gold)


def _blocks(vectorizer: Any, examples: Sequence[Example]) -> Any:
    from scipy.sparse import hstack

    blocks = [vectorizer.transform(texts) for texts in zip(*(example.texts for example in examples), strict=True)]
    if len(blocks) == 1:
        return blocks[0]
    first, second = blocks
    return hstack([first, second, first.minimum(second), abs(first - second)], format="csr")
