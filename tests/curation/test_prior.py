"""Priors: what weights make of them, and how close the estimate from unlabelled texts comes."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.curation.prior import counts_prior, estimate_prior, prior_weights, uniform
from japagen.errors import DataError, TrainingError
from japagen.tasks import Example, Label, Task

TOPICS = Task(name="topics", labels=[Label(name, "書く") for name in ("sport", "food", "law")], system="s")
SIMILARITY = Task(
    name="similarity", kind="pair", target="regression", metric="spearman", fields=["a", "b"], system="s",
    labels=[Label(str(level), "書く", score=float(level)) for level in range(3)],
)  # fmt: skip
WORDS = {"sport": "野球", "food": "寿司", "law": "裁判"}


def topics(num: int, shares: tuple[float, ...], seed: int, marked: float = 0.8) -> list[Example]:
    """Random texts of which a share of `marked` holds its topic's word, and some another topic's, so that no text is certain."""
    rng = np.random.default_rng(seed)
    rows = []
    for label in rng.choice(TOPICS.label_names, size=num, p=shares):
        word = WORDS[label] if rng.random() < marked else WORDS[str(rng.choice(TOPICS.label_names))]
        characters = rng.choice(list("あいうえおかきくけこさしすせそ"), size=10)
        rows.append(Example(("".join(characters[:5]) + word + "".join(characters[5:]),), str(label)))
    return rows


def pairs(num: int, shares: tuple[float, ...], seed: int) -> list[Example]:
    """The more of the first text is in the second, the higher the level."""
    rng = np.random.default_rng(seed)
    characters = list("あいうえおかきくけこさしすせそたちつてとなにぬねの")
    rows = []
    for level in rng.choice(3, size=num, p=shares):
        first = rng.choice(characters, size=12)
        second = [one if rng.random() < (0.1, 0.5, 0.9)[level] else rng.choice(characters) for one in first]
        rows.append(Example(("".join(first), "".join(second)), str(level), float(level)))
    return rows


def texts_of(rows: list[Example]) -> list[tuple[str, ...]]:
    return [row.texts for row in rows]


priors = st.lists(st.integers(0, 9), min_size=3, max_size=3).filter(any).map(lambda ones: [one / sum(ones) for one in ones])


@given(st.sampled_from([TOPICS, SIMILARITY]), st.lists(st.integers(1, 20), min_size=3, max_size=3), priors, st.integers(0, 99))
def test_weighted_frequencies_are_the_prior(task: Task, counts: list[int], values: list[float], seed: int) -> None:
    prior = dict(zip(task.label_names, values, strict=True))
    rng = np.random.default_rng(seed)
    rows = [
        Example(("文",), name, weight=float(rng.uniform(0.5, 2)))
        for name, num in zip(task.label_names, counts, strict=True)
        for _ in range(num)
    ]
    found = prior_weights(task, rows, prior)
    assert sum(row.weight for row in found) == pytest.approx(len(rows))
    for name in task.label_names:
        assert sum(row.weight for row in found if row.label == name) / len(rows) == pytest.approx(prior[name])
        ratios = [new.weight / old.weight for new, old in zip(found, rows, strict=True) if new.label == name]
        assert np.ptp(ratios) < 1e-9, "rows of one label keep their proportions"


def test_a_label_that_should_occur_and_does_not_is_an_error() -> None:
    rows = [Example(("文",), "sport"), Example(("文",), "law", weight=0.0)]
    with pytest.raises(TrainingError, match=r"curate\.prior gives label 'food' a frequency of 0\.333.*\(sport: 1, food: 0, law: 1\)"):
        prior_weights(TOPICS, rows, uniform(TOPICS))
    with pytest.raises(TrainingError, match="label 'law'"):
        prior_weights(TOPICS, rows, {"sport": 0.5, "food": 0.0, "law": 0.5})
    assert [row.weight for row in prior_weights(TOPICS, rows[:1], {"sport": 1.0, "food": 0.0, "law": 0.0})] == [1.0]
    assert prior_weights(TOPICS, [], uniform(TOPICS)) == ()


def test_counts_and_uniform() -> None:
    assert uniform(TOPICS) == {"sport": 1 / 3, "food": 1 / 3, "law": 1 / 3}
    assert counts_prior(TOPICS, [Example(("文",), name) for name in ("sport", "sport", "law", "law")]) == {
        "sport": 0.5,
        "food": 0.0,
        "law": 0.5,
    }
    with pytest.raises(DataError, match=r"curate\.prior=oracle needs labelled rows"):
        counts_prior(TOPICS, [])


@pytest.mark.parametrize("shares", [(0.8, 0.1, 0.1), (0.05, 0.15, 0.8), (0.34, 0.33, 0.33)])
def test_frequencies_of_unlabelled_texts_are_found(shares: tuple[float, ...]) -> None:
    rows, unlabelled = topics(400, (1 / 3, 1 / 3, 1 / 3), 0), topics(600, shares, 1)
    truth = counts_prior(TOPICS, unlabelled)
    found = estimate_prior(TOPICS, rows, texts_of(unlabelled))
    assert sum(found.values()) == pytest.approx(1)
    assert all(value > 0 for value in found.values())
    assert max(abs(found[name] - truth[name]) for name in truth) < 0.08
    assert found == estimate_prior(TOPICS, rows, texts_of(unlabelled))


def test_frequencies_are_found_from_skewed_rows_too() -> None:
    rows, unlabelled = topics(1200, (0.7, 0.2, 0.1), 0), topics(600, (0.2, 0.2, 0.6), 1)
    found = estimate_prior(TOPICS, rows, texts_of(unlabelled))
    assert [found[name] for name in TOPICS.label_names] == pytest.approx([0.2, 0.2, 0.6], abs=0.1)


def test_levels_of_a_regression_are_found() -> None:
    rows, unlabelled = pairs(400, (1 / 3, 1 / 3, 1 / 3), 0), pairs(400, (0.7, 0.2, 0.1), 1)
    found = estimate_prior(SIMILARITY, rows, texts_of(unlabelled))
    assert [found[name] for name in SIMILARITY.label_names] == pytest.approx([0.7, 0.2, 0.1], abs=0.12)


def test_where_texts_tell_nothing_the_rows_own_frequencies_stay() -> None:
    rng = np.random.default_rng(0)
    texts = [row.texts for row in topics(400, (1 / 3, 1 / 3, 1 / 3), 0, marked=0.0)]
    rows = [
        Example(text, str(label))
        for text, label in zip(texts[:300], rng.choice(TOPICS.label_names, size=300, p=[0.6, 0.3, 0.1]), strict=True)
    ]
    own = counts_prior(TOPICS, rows)
    found = estimate_prior(TOPICS, rows, texts[300:])
    assert max(abs(found[name] - own[name]) for name in own) < 0.1


def test_of_many_rows_a_fixed_draw_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("japagen.curation.prior.MAX_ROWS", 200)
    rows, unlabelled = topics(900, (1 / 3, 1 / 3, 1 / 3), 0), topics(900, (0.8, 0.1, 0.1), 1)
    found = estimate_prior(TOPICS, rows, texts_of(unlabelled))
    assert found == estimate_prior(TOPICS, rows, texts_of(unlabelled))
    assert found["sport"] == pytest.approx(0.8, abs=0.12)


def test_pairs_with_one_first_text_do_not_break_it() -> None:
    rows = [Example(("同じ文。", f"{place}と{level}の文。"), str(level), float(level)) for place in range(6) for level in range(3)]
    found = estimate_prior(SIMILARITY, rows, [row.texts for row in rows])
    assert sum(found.values()) == pytest.approx(1)


def test_what_the_estimate_needs() -> None:
    rows = topics(200, (1 / 3, 1 / 3, 1 / 3), 0)
    with pytest.raises(DataError, match=r"curate\.prior=estimated needs unlabelled texts.*data\.unlabelled_file"):
        estimate_prior(TOPICS, rows, [])
    few = [row for row in rows if row.label != "law"] + [row for row in rows if row.label == "law"][:4]
    assert Counter(row.label for row in few)["law"] == 4
    with pytest.raises(TrainingError, match="needs 5 rows of each label; 'law' has 4"):
        estimate_prior(TOPICS, few, texts_of(rows))
