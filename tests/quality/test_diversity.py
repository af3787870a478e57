"""Diversity: figures known by hand, Self-BLEU against the formula written out, and both sides at one size beside gold."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from japagen.quality.diversity import SEGMENT_TOKENS, distinct, diversity, first_tokens, segment_ttr, self_bleu, tokenise, vocabulary

TEXTS = st.lists(st.lists(st.sampled_from("abcd"), max_size=9), min_size=2, max_size=6)


def test_tokens_are_japanese_words_and_never_pieces_between_spaces() -> None:
    assert tokenise(["猫が公園で遊んでいる。", "ＡＢＣ の 本"]) == [
        ["猫", "が", "公園", "で", "遊ん", "で", "いる", "。"],
        ["ABC", "の", "本"],
    ]


def test_distinct_by_hand() -> None:
    texts = [["a", "b", "a"], ["a", "b"]]
    assert distinct(texts, 1) == 2 / 5
    assert distinct(texts, 2) == 2 / 3
    assert distinct(texts, 3) == 1.0
    assert distinct(texts, 4) is None


def test_vocabulary_by_hand() -> None:
    found = vocabulary([["a", "b", "a"], ["c"]])
    assert (found["texts"], found["tokens"], found["types"], found["once_share"]) == (2, 4, 3, 2 / 3)
    assert found["segment_ttr"] is None
    assert vocabulary([])["once_share"] is None


def test_the_ratio_by_segments_does_not_fall_as_texts_are_added() -> None:
    text = [str(number) for number in range(SEGMENT_TOKENS // 2)] * 2
    assert segment_ttr([text]) == segment_ttr([text] * 5) == 0.5
    assert distinct([text] * 5, 1) == 0.1


def bleu_written_out(texts: list[list[str]]) -> float:
    def grams(tokens: list[str], size: int) -> Counter[tuple[str, ...]]:
        return Counter(tuple(tokens[start : start + size]) for start in range(len(tokens) - size + 1))

    bleus = []
    for index, tokens in enumerate(texts):
        others = texts[:index] + texts[index + 1 :]
        product = 1.0
        for size in (1, 2, 3, 4):
            own = grams(tokens, size)
            matches = sum(min(count, max(grams(other, size)[gram] for other in others)) for gram, count in own.items())
            product *= (matches or 0.1) / max(1, own.total())
        closest = min((len(other) for other in others), key=lambda length: (abs(length - len(tokens)), length))
        brevity = 1.0 if len(tokens) >= closest else (math.exp(1 - closest / len(tokens)) if tokens else 0.0)
        bleus.append(brevity * product**0.25)
    return sum(bleus) / len(bleus)


@given(TEXTS)
def test_self_bleu_is_the_formula(texts: list[list[str]]) -> None:
    assert self_bleu(texts) == pytest.approx(bleu_written_out(texts))


def test_self_bleu_of_repeated_and_of_strange_texts() -> None:
    same = ["犬", "が", "庭", "を", "走る"]
    assert self_bleu([same, same, same]) == pytest.approx(1.0)
    others = self_bleu([same, ["猫", "は", "空", "に", "飛ぶ"]])
    assert others is not None
    assert others < 0.1
    assert self_bleu([same]) is None


@given(st.lists(st.lists(st.sampled_from("abc"), max_size=5), max_size=5), st.integers(0, 20))
def test_first_tokens_are_so_many(texts: list[list[str]], num: int) -> None:
    joined = [token for tokens in texts for token in tokens]
    assert [token for tokens in first_tokens(texts, num) for token in tokens] == joined[:num]


def test_both_sides_are_measured_at_one_size() -> None:
    synthetic = [f"{number}匹の犬が庭を走る。" for number in range(30)] * 2
    gold = [f"{number}人が駅で電車を待っている。" for number in range(10)]
    found = diversity(synthetic, gold)
    assert (found["texts"], found["different_texts"], found["own"]["texts"]) == (60, 30, 30)
    sides = found["equal_size"]
    assert sides["synthetic"]["tokens"] == sides["gold"]["tokens"] < found["own"]["tokens"]
    assert sides["synthetic"]["self_bleu_texts"] == sides["gold"]["self_bleu_texts"] == 10
    assert found["own"]["self_bleu_texts"] == 30
    assert diversity(synthetic, None)["equal_size"] is None
    assert diversity([], None)["own"]["self_bleu_4"] is None
