"""Whether a student learned anything, in a word and in a line: one with the same answer to every text must not be handed on unnoticed.

Validation rows decide, since every student with a data set has them and gold rows may be missing: the student's answers are held against
the best constant answer on the same rows. Few rows agree with anything, so chance is ruled out by a test of level 0.05:

accuracy            sign test over the rows on which only one of the two is right (McNemar 1947, exact form)
mcc, macro_f1       a constant answer scores as low as chance there; predictions are shuffled over the rows, which draws confusion
                    matrices with the same margins, and the share of draws with as many right answers counts (Fisher 1935; drawn by
                    scipy's random_table)
spearman, pearson   the correlation's own test against 0, a constant answer's value

Pure functions; scipy is imported when a verdict is made, since tables only read it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from japagen.config.schema import Config
from japagen.evaluation.metrics import Predictions, gold_value, score
from japagen.evaluation.vectors import LabelAgreement, weakest
from japagen.store.files import from_json
from japagen.tasks import Example, Task

LEVEL = 0.05
"""A student has learned where chance gives as good answers less often than this."""
NUM_SHUFFLES = 999
ENOUGH_VALID = 50
"""Validation rows that advice asks for: where a constant answer is right on half of them, 0.62 is above it."""
SHOWN_LABELS = 3
"""Labels named of those without a row."""


@dataclass(frozen=True)
class Verdict:
    """What is known of a student's learning."""

    learned: bool | None
    """None: no validation rows, or too few for any answers to be above the constant one."""
    num_steps: int
    """Optimiser steps done."""
    num_valid: int
    metric: str
    score: float | None
    """On the validation rows; None where there are none, or they allow no value."""
    constant: float | None
    """The best constant answer's, on the same rows."""
    p: float | None
    """Of the test above; None where there are too few rows for it."""
    empty: tuple[str, ...] = ()
    """Labels without a training row."""
    below: tuple[str, ...] = ()
    """Baselines that score higher on the gold rows."""
    agreement: str = ""
    """How many texts are nearest to their own label's description by the untrained encoder, with the weakest label; empty where that
    says nothing (pairs, regressions, no data set)."""
    advice: str = ""
    """The next settings to try; empty where nothing is amiss."""

    @property
    def is_amiss(self) -> bool:
        """Whether who uses the student must be warned."""
        return self.learned is False or bool(self.empty or self.below)

    @property
    def status(self) -> str:
        """In a table's cell: 'learned', 'not learned', 'class empty', 'below tfidf', 'no validation rows'; several with commas."""
        found = ["not learned"] if self.learned is False else []
        found += ["class empty"] if self.empty else []
        found += [f"below {' and '.join(self.below)}"] if self.below else []
        if self.learned is None:
            found.append("too few validation rows" if self.num_valid else "no validation rows")
        return ", ".join(found) or "learned"

    @property
    def line(self) -> str:
        """The status and what it rests on."""
        facts = [f"{self.num_steps} steps"]
        if self.num_valid:
            values = [_number(self.score), _number(self.constant)]
            tested = "" if self.p is None else f", p = {self.p:.2g}"
            facts.append(f"validation {self.metric} {values[0]}, the constant answer {values[1]} (n = {self.num_valid}{tested})")
        if self.empty:
            more = f" and {len(self.empty) - SHOWN_LABELS} more" if len(self.empty) > SHOWN_LABELS else ""
            facts.append(f"no training row of {', '.join(self.empty[:SHOWN_LABELS])}{more}")
        facts += [self.agreement] if self.agreement else []
        return f"{self.status}: {'; '.join(facts)}"

    @property
    def words(self) -> str:
        """`line`, and what to do next."""
        return f"{self.line}; next: {self.advice}" if self.advice else self.line


def judge(config: Config, rows: Sequence[Example], valid: Sequence[Example], predictions: Predictions, num_steps: int) -> Verdict:
    """The verdict on a student that learned from `rows` and answers `predictions` to the `valid` rows."""
    task, empty = config.task, empty_labels(config.task, rows)
    if not valid:
        return _advised(config, Verdict(None, num_steps, 0, task.metric, None, None, None, empty))
    own, constant = (score(task, valid, answers)[task.metric] for answers in (predictions, constant_answers(task, valid)))
    p = None if p_value(task, valid, _gold(task, valid)) >= LEVEL else p_value(task, valid, predictions)  # of perfect answers first
    learned = None if p is None else p < LEVEL
    return _advised(config, Verdict(learned, num_steps, len(valid), task.metric, own, constant, p, empty))


def with_baselines(
    config: Config, verdict: Verdict, primary: float | None, baselines: Mapping[str, Any], agreement: Mapping[str, LabelAgreement]
) -> Verdict:
    """The verdict, once gold rows were scored: `primary` is the student's metric on them, `baselines` and `agreement` as in a Result."""
    values = {name: scores.get(verdict.metric) for name, scores in baselines.items()}
    below = tuple(name for name, found in values.items() if primary is not None and found is not None and primary < found["value"])
    return _advised(config, replace(verdict, below=below, agreement=_agreement_text(agreement)))


def _agreement_text(agreement: Mapping[str, LabelAgreement]) -> str:
    found = weakest(agreement)
    if found is None:
        return ""
    name, of_label = found
    agreeing, num = (sum(getattr(counts, field) for counts in agreement.values()) for field in ("agreeing", "n"))
    return f"{agreeing} of {num} texts are nearest to their label's description, of {name} {of_label.agreeing} of {of_label.n}"


def stored_verdict(content: Mapping[str, Any]) -> Verdict | None:
    """The verdict in a student's meta.json or provenance.json; None in those of versions that gave none."""
    return from_json(Verdict, content["verdict"]) if content.get("verdict") else None


def empty_labels(task: Task, rows: Sequence[Example]) -> tuple[str, ...]:
    """The classes without a row; a regression has levels, which need none."""
    there = {row.label for row in rows}
    return () if task.is_regression else tuple(name for name in task.label_names if name not in there)


def constant_answers(task: Task, rows: Sequence[Example]) -> Predictions:
    """The best constant answer for each row: the rows' own most frequent label, or their mean."""
    if task.is_regression:
        return [float(np.mean([gold_value(task, row) for row in rows]))] * len(rows)
    counts = Counter(row.label for row in rows)
    return [max(task.label_names, key=lambda name: counts[name])] * len(rows)


def p_value(task: Task, rows: Sequence[Example], predictions: Predictions) -> float:
    """How often answers that know nothing are as good, by the metric's test; 1 where the rows allow none."""
    if task.is_regression:
        return _correlation_p(task, [gold_value(task, row) for row in rows], [float(value) for value in predictions])
    gold = [row.label for row in rows]
    answers = [str(answer) for answer in predictions]
    if task.metric != "accuracy":
        return _shuffled_p(gold, answers)
    from scipy.stats import binomtest

    right = [answer == label for answer, label in zip(answers, gold, strict=True)]
    constant = [answer == label for answer, label in zip(constant_answers(task, rows), gold, strict=True)]
    ours, theirs = (sum(a and not b for a, b in zip(*pair, strict=True)) for pair in ((right, constant), (constant, right)))
    return float(binomtest(ours, ours + theirs, alternative="greater").pvalue) if ours + theirs else 1.0


def _shuffled_p(gold: Sequence[str], answers: Sequence[str]) -> float:
    from scipy.stats import random_table

    names = sorted({*gold, *answers})
    margins = ([list(side).count(name) for name in names] for side in (gold, answers))
    tables = random_table(*margins).rvs(size=NUM_SHUFFLES, random_state=0)
    num_right = sum(answer == label for answer, label in zip(answers, gold, strict=True))
    as_good = int((tables.trace(axis1=1, axis2=2) >= num_right).sum())
    return (1 + as_good) / (1 + NUM_SHUFFLES)


def _correlation_p(task: Task, gold: Sequence[float], values: Sequence[float]) -> float:
    from scipy.stats import pearsonr, spearmanr

    if len(gold) < 4 or len(set(gold)) < 2 or len(set(values)) < 2:
        return 1.0
    test = spearmanr if task.metric == "spearman" else pearsonr
    return float(test(gold, values, alternative="greater").pvalue)


def _gold(task: Task, rows: Sequence[Example]) -> Predictions:
    return [gold_value(task, row) for row in rows] if task.is_regression else [row.label for row in rows]


def _advised(config: Config, verdict: Verdict) -> Verdict:
    return replace(verdict, advice=_advice(config, verdict))


def _advice(config: Config, verdict: Verdict) -> str:
    """The settings that give more rows, and more steps where the student has not learned; '' where it has, as far as is known."""
    if verdict.learned and not verdict.is_amiss:
        return ""
    kind, train = config.method.kind, config.train
    longer = f"train.steps={2 * train.steps}" if train.steps else f"train.min_steps={2 * verdict.num_steps}"
    steps = [longer] if verdict.learned is False else []
    if kind.writes:
        enough = -(-10 * ENOUGH_VALID // len(config.task.labels))
        num = max(2 * config.num_per_label, enough) if verdict.learned is None else 2 * config.num_per_label
        return " ".join([f"num_per_label={num}", *steps])
    if kind.annotates:
        return " ".join(["more texts by data.unlabelled_file=FILE, or method=annotate_japagen to have missing ones written", *steps])
    if config.gold_per_label == "all":
        return longer
    if verdict.num_valid == 0 and not verdict.is_amiss:
        return "gold_per_label=all holds a tenth of the rows back to validate on"
    return " ".join([f"gold_per_label={2 * int(config.gold_per_label)}", *steps])


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
