"""Confusions as pairs: counted, ordered, cut, and labels that nothing was predicted as."""

from japagen.evaluation.confusions import ConfusedPair, most_confused, never_predicted

GOLD = ["a", "a", "a", "b", "b", "c"]
PREDICTED = ["b", "b", "c", "a", "b", ""]


def test_pairs_come_by_count_then_by_name() -> None:
    assert most_confused(GOLD, PREDICTED) == [
        ConfusedPair("a", "b", 2, 3), ConfusedPair("a", "c", 1, 3), ConfusedPair("b", "a", 1, 2), ConfusedPair("c", "", 1, 1)
    ]  # fmt: skip
    assert [pair.share for pair in most_confused(GOLD, PREDICTED, limit=2)] == [2 / 3, 1 / 3]
    assert most_confused(GOLD, GOLD) == most_confused([], []) == []


def test_labels_without_gold_rows_are_not_missed() -> None:
    assert never_predicted(["d", "c", "b", "a"], GOLD, PREDICTED) == []
    assert never_predicted(["d", "c", "b", "a"], GOLD, ["a"] * 6) == ["c", "b"]
