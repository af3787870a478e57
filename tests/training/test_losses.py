import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional
from transformers import AutoModelForSequenceClassification

from japagen.config.schema import Train
from japagen.errors import TrainingError
from japagen.tasks import Example, Task
from japagen.training.classifier import Classifier
from japagen.training.losses import generalised_cross_entropy, to_targets, to_weights

seeds = st.integers(0, 2**31)
smoothings = st.floats(0, 0.5)


def row(label: str, probs: tuple[float, ...] | None = None, weight: float = 1.0, score: float | None = None) -> Example:
    return Example(("あ",), label, score, f"{label}-{weight}", probs, weight)


def logits_of(seed: int, num: int = 6) -> torch.Tensor:
    return (3 * torch.randn(num, 3, generator=torch.Generator().manual_seed(seed))).requires_grad_()


def gradient(loss: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    return torch.autograd.grad(loss, logits)[0]


@pytest.fixture(scope="session")
def classifier(keyword_task: Task, encoder_path: str) -> Classifier:
    model = AutoModelForSequenceClassification.from_pretrained(encoder_path, num_labels=3)
    return Classifier(model, keyword_task, Train(), 1, 0, [])


@pytest.fixture(scope="session")
def regressor(overlap_task: Task, encoder_path: str) -> Classifier:
    model = AutoModelForSequenceClassification.from_pretrained(encoder_path, num_labels=1)
    return Classifier(model, overlap_task, Train(), 1, 0, [])


def test_hard_rows_stay_classes_and_one_soft_row_makes_all_distributions(keyword_task: Task) -> None:
    hard = to_targets(keyword_task, [row("other"), row("with")])
    assert (hard.dtype, hard.tolist()) == (np.int64, [2, 0])
    soft = to_targets(keyword_task, [row("other"), row("with", (0.25, 0.5, 0.25))])
    assert (soft.dtype, soft.tolist()) == (np.float32, [[0, 0, 1], [0.25, 0.5, 0.25]])


def test_a_soft_label_is_scaled_to_sum_to_one(keyword_task: Task) -> None:
    np.testing.assert_allclose(to_targets(keyword_task, [row("with", (0.5, 0.25, 0.2495))]).sum(), 1, atol=1e-7)


@pytest.mark.parametrize("probs", [(0.5, 0.5), (0.5, 0.2, 0.2), (1.5, -0.5, 0.0), (float("nan"), 0.5, 0.5), ()])
def test_what_is_no_distribution_over_the_labels_is_refused(keyword_task: Task, probs: tuple[float, ...]) -> None:
    with pytest.raises(
        TrainingError, match=r"row 'with-1.0' has the soft label .* 3 probabilities that sum to 1, .*: with, without, other"
    ):
        to_targets(keyword_task, [row("with", probs)])


def test_a_regressions_target_is_its_score_whatever_its_probabilities_say(overlap_task: Task) -> None:
    assert to_targets(overlap_task, [row("1", (0.0, 0.0, 1.0), score=1.5), row("3")]).tolist() == [0.25, 1]


def test_equal_weights_are_none_and_others_have_mean_one(keyword_task: Task) -> None:
    assert to_weights(keyword_task, [row("with", weight=2.5)] * 3) is None
    assert to_weights(keyword_task, []) is None
    found = to_weights(keyword_task, [row("with"), row("with", weight=3), row("with", weight=0), row("other", weight=4)])
    assert found is not None
    assert (found.dtype, found.tolist()) == (np.float32, [0.5, 1.5, 0, 2])


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_weights_must_be_finite_and_not_negative(keyword_task: Task, weight: float) -> None:
    with pytest.raises(TrainingError, match=rf"row 'other-{weight}' has weight {weight}; allowed: finite numbers from 0"):
        to_weights(keyword_task, [row("with"), row("other", weight=weight)])


def test_weights_that_are_all_zero_are_refused(keyword_task: Task) -> None:
    with pytest.raises(TrainingError, match="all 2 rows have weight 0"):
        to_weights(keyword_task, [row("with", weight=0), row("other", weight=0)])


@given(seeds, smoothings, st.sampled_from([0.0, 0.4, 1.0]))
def test_a_soft_label_that_is_sure_is_a_hard_label(classifier: Classifier, seed: int, smoothing: float, robust_q: float) -> None:
    logits, places = logits_of(seed), torch.tensor([0, 1, 2, 2, 1, 0])
    hard = classifier.loss(logits, places, None, smoothing, robust_q)
    soft = classifier.loss(logits, torch.eye(3)[places], None, smoothing, robust_q)
    torch.testing.assert_close(soft, hard)
    torch.testing.assert_close(gradient(soft, logits), gradient(hard, logits))


@given(seeds)
def test_cross_entropy_with_a_soft_label_is_least_where_the_student_says_the_same(classifier: Classifier, seed: int) -> None:
    targets = logits_of(seed).detach().softmax(dim=1)
    logits = targets.log().requires_grad_()
    torch.testing.assert_close(gradient(classifier.loss(logits, targets), logits), torch.zeros(6, 3), atol=1e-6, rtol=0)


@given(seeds, st.sampled_from([0.0, 0.7]), st.booleans())
def test_weight_two_is_the_row_twice(keyword_task: Task, classifier: Classifier, seed: int, robust_q: float, is_soft: bool) -> None:
    """With its own share of the rows: the mean over four rows of which one counts double is the mean over five."""
    logits = logits_of(seed, num=4)
    rows = [row(label, (0.2, 0.3, 0.5) if is_soft else None) for label in ("with", "without", "other", "with")]
    heavy = [*rows[:3], Example(rows[3].texts, rows[3].label, probs=rows[3].probs, weight=2.0)]
    weights = to_weights(keyword_task, heavy)
    assert weights is not None
    targets = torch.from_numpy(to_targets(keyword_task, heavy))
    weighted = classifier.loss(logits, targets, torch.from_numpy(weights), 0.1, robust_q)
    twice = torch.tensor([0, 1, 2, 3, 3])
    repeated = classifier.loss(logits[twice], targets[twice], None, 0.1, robust_q)
    torch.testing.assert_close(weighted, repeated)
    torch.testing.assert_close(gradient(weighted, logits), gradient(repeated, logits))


def test_a_regressions_rows_are_weighted_too(regressor: Classifier) -> None:
    logits, targets = torch.tensor([[0.0], [0.5]]), torch.tensor([1.0, 1.0])
    assert regressor.loss(logits, targets, torch.tensor([0.5, 1.5])).item() == pytest.approx((0.5 * 1 + 1.5 * 0.25) / 2)


def test_robust_loss_and_smoothing_leave_a_regression_as_it_is(regressor: Classifier) -> None:
    logits, targets = torch.tensor([[0.0], [0.5]]), torch.tensor([1.0, 1.0])
    assert regressor.loss(logits, targets, None, 0.1, 0.7) == regressor.loss(logits, targets)


@given(seeds, st.floats(0.01, 1))
def test_the_robust_loss_is_its_formula_and_its_gradient_cross_entropys_times_p_to_the_q(seed: int, robust_q: float) -> None:
    logits, places = logits_of(seed).double().detach().requires_grad_(), torch.tensor([0, 1, 2, 2, 1, 0])
    found = generalised_cross_entropy(logits, places, robust_q)
    own = logits.softmax(dim=1)[torch.arange(6), places]
    torch.testing.assert_close(found, (1 - own**robust_q) / robust_q)
    of_cross_entropy = gradient(functional.cross_entropy(logits, places, reduction="sum"), logits)
    torch.testing.assert_close(gradient(found.sum(), logits), own.detach()[:, None] ** robust_q * of_cross_entropy)


@given(seeds)
def test_the_robust_loss_comes_from_cross_entropy(seed: int) -> None:
    logits, places = logits_of(seed), torch.tensor([0, 1, 2, 2, 1, 0])
    near = generalised_cross_entropy(logits, places, 1e-5)
    torch.testing.assert_close(near, functional.cross_entropy(logits, places, reduction="none"), rtol=1e-3, atol=1e-5)


@given(seeds, st.floats(0.1, 1), smoothings)
def test_the_robust_loss_of_a_soft_label_is_expected_over_labels(seed: int, robust_q: float, smoothing: float) -> None:
    logits, targets = logits_of(seed).detach(), logits_of(seed + 1).detach().softmax(dim=1)
    smoothed = (1 - smoothing) * targets + smoothing / 3
    of_each = torch.stack([generalised_cross_entropy(logits, torch.full((6,), label), robust_q) for label in range(3)], dim=1)
    found = generalised_cross_entropy(logits, targets, robust_q, smoothing)
    torch.testing.assert_close(found, (smoothed * of_each).sum(dim=1))


def test_the_robust_loss_stays_finite_where_the_student_is_surely_wrong() -> None:
    logits = torch.tensor([[200.0, 0.0, 0.0]], requires_grad=True)
    loss = generalised_cross_entropy(logits, torch.tensor([1]), 0.7)
    assert loss.item() == pytest.approx(1 / 0.7)
    assert gradient(loss.sum(), logits).abs().max() < 1e-6
