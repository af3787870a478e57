"""Baselines of an encoder without training, with vectors made by hand."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from japagen.evaluation import vectors
from japagen.evaluation.metrics import score
from japagen.evaluation.vectors import (
    LabelAgreement,
    can_describe,
    frozen,
    label_agreement,
    label_descriptions,
    nearest_description,
    weakest,
)
from japagen.tasks import Example, Label, Task
from tests.conftest import load_task

LABELS = [Label("billing", "請求の文を書く", word="請求"), Label("move", "引っ越しの文を書く", word="引っ越し")]
INQUIRIES = Task(name="inquiries", labels=LABELS, system="s")
SIMILARITY = Task(
    name="similarity", kind="pair", target="regression", metric="spearman", fields=["a", "b"], system="s",
    labels=[Label(str(level), "書く", score=float(level)) for level in range(6)],
)  # fmt: skip


class Encoder:
    """Counts of some characters; notes what it was asked for."""

    def __init__(self, characters: str = "請求引越料金住所") -> None:
        self.characters = characters
        self.asked: list[list[str]] = []

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.asked.append(list(texts))
        return np.array([[text.count(character) for character in self.characters] for text in texts], dtype=np.float32)


def test_the_nearest_description_is_the_label() -> None:
    texts = ["請求の金額を知りたい。", "引っ越しをします。", "請求について。"]
    assert nearest_description(INQUIRIES, texts, Encoder()) == ["billing", "move", "billing"]


def test_agreement_names_the_label_whose_texts_are_of_another() -> None:
    rows = [Example((text,), label) for text, label in (
        ("請求の金額を知りたい。", "billing"), ("請求が二重です。", "billing"), ("引っ越しをします。", "move"),
        ("請求を止めたい。", "move"),
    )]  # fmt: skip
    found = label_agreement(INQUIRIES, rows, Encoder())
    assert found == {"billing": LabelAgreement(2, 2), "move": LabelAgreement(1, 2)}
    assert weakest(found) == ("move", LabelAgreement(1, 2))
    assert found["move"].share == 0.5


def test_labels_without_texts_are_not_the_weakest() -> None:
    found = label_agreement(INQUIRIES, [Example(("請求です。",), "billing")], Encoder())
    assert found["move"] == LabelAgreement(0, 0)
    assert found["move"].share is None
    assert weakest(found) == ("billing", LabelAgreement(1, 1))
    assert weakest({}) is None
    assert label_agreement(INQUIRIES, [], Encoder()) == {}


def test_descriptions_are_of_one_kind_for_all_labels() -> None:
    assert label_descriptions(INQUIRIES) == ["請求", "引っ越し"]
    one_meaning = replace(INQUIRIES, labels=[replace(LABELS[0], meaning="料金の話"), LABELS[1]])
    assert label_descriptions(one_meaning) == ["請求", "引っ越し"], "a meaning beside a word would draw texts to itself"
    both = replace(INQUIRIES, labels=[replace(label, meaning=f"{label.word}の話") for label in LABELS])
    assert label_descriptions(both) == ["請求の話", "引っ越しの話"]
    wordless = replace(INQUIRIES, labels=[replace(LABELS[0], word=""), LABELS[1]])
    assert label_descriptions(wordless) == [
        "請求の文を書く",
        "引っ越しの文を書く",
    ]


@pytest.mark.parametrize(("name", "described"), [("jnli", False), ("jsts", False), ("news", True), ("jcola", True), ("banking77", True)])
def test_single_texts_are_described_and_relations_are_not(name: str, described: bool) -> None:
    task = load_task(name)
    assert can_describe(task) == described
    if not described:
        assert label_agreement(task, [Example(("あ", "い"), task.label_names[0])], Encoder()) == {}


def test_labels_described_alike_cannot_be_told_apart() -> None:
    assert not can_describe(replace(INQUIRIES, labels=[replace(label, word="文") for label in LABELS]))


def test_a_scored_pair_is_its_cosine_and_needs_no_rows() -> None:
    gold = [Example(("請求", "請求"), "5", 5.0), Example(("請求", "引越"), "0", 0.0), Example(("請求引越", "請求"), "3", 3.0)]
    assert frozen(SIMILARITY, [], gold, Encoder()) == pytest.approx([1.0, 0.0, 2**-0.5])


def test_a_text_is_encoded_once() -> None:
    encoder = Encoder()
    gold = [Example(("請求", "引越"), "1", 1.0), Example(("引越", "請求"), "1", 1.0)]
    frozen(SIMILARITY, [], gold, encoder)
    assert encoder.asked == [["請求", "引越"]]


def test_single_texts_are_learned_from_their_vectors() -> None:
    rows = [Example((text,), label) for label, text in (("billing", "料金です。"), ("move", "住所です。")) for _ in range(5)]
    gold = [Example(("住所を変える。",), "move"), Example(("料金は？",), "billing")]
    assert frozen(INQUIRIES, rows, gold, Encoder()) == ["move", "billing"]


def test_pairs_are_classified_by_how_their_vectors_differ() -> None:
    rng = np.random.default_rng(0)
    task = Task(name="same", kind="pair", labels=[Label("same", "書く"), Label("other", "書く")], fields=["a", "b"], system="s")
    letters = "請求引越料金住所"

    def pairs(num: int) -> list[Example]:
        rows = []
        for number in range(num):
            first = "".join(rng.choice(list(letters), 5))
            second = first[::-1] if number % 2 else "".join(rng.choice(list(letters), 5))
            rows.append(Example((first, second), "same" if number % 2 else "other"))
        return rows

    rows, gold = pairs(200), pairs(100)
    accuracy = score(task, gold, frozen(task, rows, gold, Encoder()))["accuracy"]
    assert accuracy is not None
    assert accuracy > 0.85


def test_of_many_rows_a_fixed_draw_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "MAX_ROWS", 10)
    rows = [Example((f"請求{number}",), "billing") for number in range(50)]
    found = label_agreement(INQUIRIES, rows, Encoder())
    assert found["billing"] == LabelAgreement(10, 10)


def test_a_vector_of_zeros_is_no_fault() -> None:
    assert nearest_description(INQUIRIES, ["？"], Encoder()) == ["billing"]
