import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from japagen.evaluation import baselines as module
from japagen.evaluation.baselines import baselines, jaccard, linear_on_pairs, majority, overlap, tfidf
from japagen.evaluation.metrics import score
from japagen.tasks import Example, Label, Task
from tests.conftest import MIRROR, needs_mirror

CHARACTERS = list("あいうえおかきくけこさしすせそたちつてとなにぬねの")

TOPICS = Task(name="topics", labels=[Label(name, "書く") for name in ("sport", "food", "law")], system="s")
RELATION = Task(name="relation", kind="pair", labels=[Label("same", "書く"), Label("other", "書く")], fields=["a", "b"], system="s")
SIMILARITY = Task(
    name="similarity", kind="pair", target="regression", metric="spearman", fields=["a", "b"], system="s",
    labels=[Label(str(level), "書く", score=float(level)) for level in range(6)],
)  # fmt: skip


def text(rng: np.random.Generator, length: int = 12) -> str:
    return "".join(rng.choice(CHARACTERS, size=length))


def topics(num: int, seed: int) -> list[Example]:
    """A word of the topic somewhere in a random text; 'food' is twice as frequent as the others."""
    rng = np.random.default_rng(seed)
    words = {"sport": "野球", "food": "寿司", "law": "裁判"}
    labels = rng.choice(list(words), size=num, p=[0.25, 0.5, 0.25])
    return [Example((text(rng, 6) + words[label] + text(rng, 6),), str(label)) for label in labels]


def pairs(num: int, seed: int) -> list[Example]:
    """The second text keeps a share of the first; its score is that share on 0 to 5."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(num):
        first, kept = text(rng), rng.random()
        second = "".join(character if rng.random() < kept else str(rng.choice(CHARACTERS)) for character in first)
        rows.append(Example((first, second), str(round(5 * kept)), score=5 * kept))
    return rows


def relations(num: int, seed: int) -> list[Example]:
    return [Example(row.texts, "same" if (row.score or 0) > 2.5 else "other") for row in pairs(num, seed)]


def test_single_texts_have_a_majority_and_a_linear_model() -> None:
    found = baselines(TOPICS, topics(400, 0), topics(200, 1), num_resamples=100)
    assert set(found) == {"majority", "tfidf"}
    assert found["majority"]["mcc"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert found["majority"]["accuracy"] is not None
    assert found["majority"]["accuracy"]["value"] == pytest.approx(0.5, abs=0.1)
    assert found["tfidf"]["accuracy"] is not None
    assert found["tfidf"]["accuracy"]["value"] > 0.95
    assert found == baselines(TOPICS, topics(400, 0), topics(200, 1), num_resamples=100)


def test_pairs_of_a_regression_have_overlap_and_features_too() -> None:
    found = baselines(SIMILARITY, pairs(800, 0), pairs(200, 1), num_resamples=100)
    assert set(found) == {"majority", "overlap", "tfidf", "pair_features"}
    assert found["majority"] == {name: {"value": 0.0, "low": 0.0, "high": 0.0} for name in ("spearman", "pearson")}
    for name, least in [("overlap", 0.8), ("tfidf", 0.6), ("pair_features", 0.85)]:
        spearman = found[name]["spearman"]
        assert spearman is not None
        assert spearman["value"] > least


def test_the_overlap_of_classified_pairs_is_learned_from_the_training_rows() -> None:
    rows, gold = relations(400, 0), relations(200, 1)
    found = score(RELATION, gold, overlap(RELATION, rows, gold))
    assert found["accuracy"] is not None
    assert found["accuracy"] > 0.85
    swapped = [Example(row.texts, "other" if row.label == "same" else "same") for row in rows]
    opposite = score(RELATION, gold, overlap(RELATION, swapped, gold))
    assert opposite["accuracy"] == pytest.approx(1 - found["accuracy"])


def test_without_training_rows_only_what_needs_none_is_scored() -> None:
    assert set(baselines(SIMILARITY, [], pairs(20, 1), num_resamples=10)) == {"overlap"}
    assert set(baselines(RELATION, [], relations(20, 1), num_resamples=10)) == {"majority"}
    assert baselines(TOPICS, topics(20, 0), []) == {}


def hashed(texts: Sequence[str]) -> np.ndarray:
    """A vector a text: how often each character is in it."""
    return np.array([[text.count(character) for character in [*CHARACTERS, *"野球寿司裁判"]] for text in texts], dtype=np.float32)


def test_an_encoder_adds_baselines_of_its_own() -> None:
    described = replace(
        TOPICS, labels=[replace(label, word=word) for label, word in zip(TOPICS.labels, ("野球", "寿司", "裁判"), strict=True)]
    )
    found = baselines(described, topics(400, 0), topics(200, 1), hashed, num_resamples=10)
    assert list(found) == ["majority", "tfidf", "frozen", "nearest_description"]
    for name in ("frozen", "nearest_description"):
        assert found[name]["accuracy"] is not None
        assert found[name]["accuracy"]["value"] > 0.9
    assert set(baselines(described, [], topics(200, 1), hashed, num_resamples=10)) == {"majority", "nearest_description"}
    assert "nearest_description" not in baselines(TOPICS, topics(40, 0), topics(20, 1), hashed, num_resamples=10), "described alike"
    assert list(baselines(SIMILARITY, [], pairs(50, 1), hashed, num_resamples=10)) == ["overlap", "frozen"]
    assert list(baselines(RELATION, relations(90, 0), relations(50, 1), hashed, num_resamples=10)) == [
        "majority", "overlap", "tfidf", "pair_features", "frozen",
    ]  # fmt: skip
    assert set(found) <= set(module.BASELINES)


def test_one_label_among_the_rows_is_said_of_every_text() -> None:
    rows = [row for row in topics(50, 0) if row.label == "law"]
    assert tfidf(TOPICS, rows, topics(5, 1)) == ["law"] * 5
    assert linear_on_pairs(RELATION, [replace(row, label="same") for row in relations(9, 0)], relations(5, 1)) == ["same"] * 5


def test_majorities() -> None:
    law, food = Example(("あ",), "law"), Example(("い",), "food")
    assert majority(TOPICS, [law, law], [food, food, law]) == ["food"] * 3, "the best constant answer, whatever the training rows"
    assert majority(TOPICS, [], [law, food]) == ["food"] * 2, "of a tie the task's first label"
    assert majority(SIMILARITY, [Example(("あ", "い"), "1", 1.5), Example(("あ", "い"), "4")], [Example(("あ", "い"), "1", 1.0)]) == [2.75]


def test_similarity_of_characters() -> None:
    assert jaccard("あい", "いう") == pytest.approx(1 / 3)
    assert jaccard("", "") == 1.0
    assert jaccard("あ", "") == 0.0


def test_labels_that_are_scored_enter_no_prediction() -> None:
    rows, gold = topics(200, 0), topics(50, 1)
    blind = [Example(row.texts, "sport") for row in gold]
    assert tfidf(TOPICS, rows, gold) == tfidf(TOPICS, rows, blind)
    assert linear_on_pairs(RELATION, relations(90, 0), relations(50, 1)) == linear_on_pairs(
        RELATION, relations(90, 0), [replace(row, label="same") for row in relations(50, 1)]
    )
    assert overlap(RELATION, relations(90, 0), relations(50, 1)) == overlap(
        RELATION, relations(90, 0), [Example(row.texts, "same") for row in relations(50, 1)]
    )


def test_of_large_training_sets_a_fixed_draw_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 100)
    seen: list[int] = []
    features = module.ngram_features

    def counted(rows: Sequence[Example], gold: Sequence[Example]) -> Any:
        seen.append(len(rows))
        return features(rows, gold)

    monkeypatch.setattr(module, "ngram_features", counted)
    rows, gold = topics(2000, 0), topics(100, 1)
    first = tfidf(TOPICS, rows, gold)
    assert first == tfidf(TOPICS, rows, gold)
    assert seen == [100, 100]
    accuracy = score(TOPICS, gold, first)["accuracy"]
    assert accuracy is not None
    assert accuracy > 0.8


def jsts(name: str) -> list[Example]:
    path = MIRROR / "JGLUE" / "jsts-v1.3" / f"{name}-v1.3.json"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Example((row["sentence1"], row["sentence2"]), str(round(row["label"])), score=float(row["label"])) for row in rows]


@needs_mirror
def test_character_overlap_alone_reaches_a_spearman_of_070_on_jsts() -> None:
    gold = jsts("valid")
    found = score(SIMILARITY, gold, overlap(SIMILARITY, [], gold))
    assert found["spearman"] == pytest.approx(0.70, abs=0.01)


@needs_mirror
def test_pair_features_reach_070_on_jsts_with_180_rows_where_ngrams_have_041() -> None:
    rows, gold = jsts("train"), jsts("valid")
    few = [rows[index] for index in np.random.default_rng(0).choice(len(rows), size=180, replace=False)]
    features, ngrams = (score(SIMILARITY, gold, model(SIMILARITY, few, gold))["spearman"] for model in (linear_on_pairs, tfidf))
    assert features == pytest.approx(0.70, abs=0.02)
    assert ngrams == pytest.approx(0.41, abs=0.08)
