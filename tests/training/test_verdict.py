"""Verdicts: what has learned is told from what has not, by rows that chance can't explain; and where readers of a student find it."""

import json
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest

from japagen.evaluation.vectors import LabelAgreement
from japagen.tasks import Example
from japagen.training.verdict import Verdict, empty_labels, judge, p_value, stored_verdict, with_baselines
from tests.conftest import Compose, load_task

LABELS = load_task("jnli").label_names


def rows_of(labels: list[str]) -> list[Example]:
    return [Example((f"{index}番目の文。", "次の文。"), label) for index, label in enumerate(labels)]


def judged(composed: Compose, labels: list[str], predictions: list[Any], *overrides: str, train: list[str] = LABELS) -> Verdict:
    config = composed("task=jnli", *overrides)
    return judge(config, rows_of(train), rows_of(labels), predictions, num_steps=100)


def test_a_student_that_gives_one_answer_has_not_learned(composed: Compose) -> None:
    labels = LABELS * 10
    found = judged(composed, labels, [LABELS[0]] * 30)
    assert (found.learned, found.status, found.is_amiss) == (False, "not learned", True)
    assert found.line == "not learned: 100 steps; validation accuracy 0.333, the constant answer 0.333 (n = 30, p = 1)"
    assert found.advice == "num_per_label=600 train.min_steps=200"


def test_a_student_above_the_constant_answer_has_learned(composed: Compose) -> None:
    labels = LABELS * 10
    found = judged(composed, labels, [*labels[:24], *[LABELS[0]] * 6])
    assert (found.learned, found.status, found.is_amiss, found.advice) == (True, "learned", False, "")


def test_chance_is_not_learning(composed: Compose) -> None:
    """Fourteen rows, of which one more is right than by a constant answer."""
    labels = [*[LABELS[0]] * 5, *[LABELS[1]] * 5, *[LABELS[2]] * 4]
    found = judged(composed, labels, [*[LABELS[0]] * 5, LABELS[1], *[LABELS[0]] * 8])
    assert found.score is not None
    assert found.constant is not None
    assert found.score > found.constant
    assert found.learned is False


@pytest.mark.parametrize(("labels", "status"), [([], "no validation rows"), ([*LABELS, LABELS[0]], "too few validation rows")])
def test_without_enough_rows_nobody_can_tell(composed: Compose, labels: list[str], status: str) -> None:
    found = judged(composed, labels, labels)
    assert (found.learned, found.status, found.is_amiss, found.p) == (None, status, False, None)
    assert found.advice == "num_per_label=600"
    assert status in found.words


def test_a_class_without_a_row_is_named(composed: Compose) -> None:
    labels = LABELS * 10
    found = judged(composed, labels, labels, "method=annotate", train=LABELS[:2])
    assert (found.empty, found.status, found.is_amiss) == ((LABELS[2],), "class empty", True)
    assert f"no training row of {LABELS[2]}" in found.line
    assert "method=annotate_japagen" in found.advice
    assert empty_labels(load_task("jsts"), []) == (), "a regression has levels"


@pytest.mark.parametrize(
    ("overrides", "learns", "advice"),
    [
        (["method=gold"], False, "train.min_steps=200"),
        (["method=gold", "gold_per_label=5"], False, "gold_per_label=10 train.min_steps=200"),
        (["method=gold", "gold_per_label=5"], None, "gold_per_label=all holds a tenth of the rows back to validate on"),
        (["train.steps=100"], False, "num_per_label=600 train.steps=200"),
        (["num_per_label=20"], None, "num_per_label=167"),
    ],
)
def test_the_advice_is_for_the_method(composed: Compose, overrides: list[str], learns: bool | None, advice: str) -> None:
    labels = [] if learns is None else LABELS * 10
    assert judged(composed, labels, [LABELS[0]] * len(labels), *overrides).advice == advice


def test_baselines_that_score_higher_are_named(composed: Compose) -> None:
    config, labels = composed("task=jnli"), LABELS * 10
    baselines = {"majority": {"accuracy": {"value": 0.5}}, "tfidf": {"accuracy": {"value": 0.7}}, "overlap": {"accuracy": None}}
    found = with_baselines(config, judged(composed, labels, labels), 0.6, baselines, {})
    assert (found.below, found.status, found.is_amiss) == (("tfidf",), "below tfidf", True)
    assert found.advice == "num_per_label=600"
    assert with_baselines(config, found, 0.7, baselines, {}).status == "learned"
    assert with_baselines(config, found, None, baselines, {}).below == ()
    agreement = {"positive": LabelAgreement(9, 10), "negative": LabelAgreement(3, 12)}
    told = with_baselines(config, found, None, baselines, agreement).line
    assert told.endswith("; 12 of 22 texts are nearest to their label's description, of negative 3 of 12")


def test_mcc_is_held_against_shuffled_predictions(composed: Compose) -> None:
    """Nine in ten rows have one label, so accuracy is hardly above the constant answer's, and the answers know something all the same."""
    config = composed("task=jcola")
    labels = ["acceptable"] * 180 + ["unacceptable"] * 20
    gold = [Example((f"{index}番目の文。",), label) for index, label in enumerate(labels)]
    guesses = ["acceptable"] * 172 + ["unacceptable"] * 8 + ["unacceptable"] * 9 + ["acceptable"] * 11
    assert judge(config, gold, gold, guesses, 10).learned is True
    assert judge(config, gold, gold, ["acceptable"] * 200, 10).learned is False
    assert p_value(config.task, gold, guesses) == p_value(config.task, gold, guesses), "the same draws each time"


@pytest.mark.parametrize("metric", ["spearman", "pearson"])
def test_a_correlation_must_be_above_chance(composed: Compose, metric: str) -> None:
    config = composed("task=jsts", f"task.metric={metric}")
    scores = np.linspace(0, 5, 30)
    gold = [Example((f"{score}", "文"), "0", float(score)) for score in scores]
    assert judge(config, gold, gold, [float(score) for score in scores[::-1] * 0 + np.sqrt(scores)], 10).learned is True
    assert judge(config, gold, gold, [2.5] * 30, 10).learned is False
    assert judge(config, gold, gold, [float(score) for score in scores[::-1]], 10).learned is False
    assert judge(config, gold[:3], gold[:3], [0.0, 1.0, 2.0], 10).learned is None


@pytest.mark.parametrize("name", ["jnli", "jcola", "jsts"])
def test_students_that_know_nothing_are_rarely_called_learned(name: str) -> None:
    """Of 400 that answer at random at most 8%, where the tests' level is 5%."""
    task, rng = load_task(name), np.random.default_rng(0)

    def answers() -> list[Any]:
        return rng.uniform(0, 5, 40).tolist() if task.is_regression else rng.choice(task.label_names, 40).tolist()

    num = 0
    for _ in range(400):
        gold = [Example(("文",), str(label), label if task.is_regression else None) for label in answers()]
        num += p_value(task, gold, answers()) < 0.05
    assert num <= 32


def test_what_is_stored_comes_back(composed: Compose) -> None:
    found = replace(judged(composed, LABELS * 10, LABELS * 10, train=LABELS[:2]), below=("tfidf",))
    assert stored_verdict(json.loads(json.dumps({"verdict": asdict(found)}))) == found
    assert stored_verdict({}) is None
