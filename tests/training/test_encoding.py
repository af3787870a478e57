import numpy as np
import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from japagen.training import encoding
from japagen.training.encoding import EncodedRow, encode, encode_once, padding_of


@pytest.fixture(scope="module")
def tokenizer(encoder_path: str) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(encoder_path)


def spelled(tokenizer: PreTrainedTokenizerBase, row: EncodedRow) -> str:
    return "".join(tokenizer.convert_ids_to_tokens(row["input_ids"].tolist()))


def test_texts_keep_their_order_and_long_ones_are_cut_and_counted(tokenizer: PreTrainedTokenizerBase) -> None:
    texts = [("あいう",), ("か" * 30,), ("さ",), ("た" * 11,)] * 600
    encoded = encode(tokenizer, texts, max_length=12)
    assert encoded.lengths == [5, 12, 3, 12] * 600
    assert encoded.truncated == 1200
    assert spelled(tokenizer, encoded.rows[1]) == "[CLS]" + "か" * 10 + "[SEP]"


def test_pairs_are_cut_from_their_longer_text(tokenizer: PreTrainedTokenizerBase) -> None:
    encoded = encode(tokenizer, [("か" * 30, "さし")], max_length=12)
    assert spelled(tokenizer, encoded.rows[0]) == "[CLS]" + "か" * 7 + "[SEP]さし[SEP]"
    assert encoded.rows[0]["token_type_ids"].tolist() == [0] * 9 + [1] * 3


def test_padding_gives_what_the_tokenizer_itself_gives(tokenizer: PreTrainedTokenizerBase) -> None:
    texts = [("あいう", "か"), ("え", "きく"), ("おかきくけ", "こ")]
    padded = padding_of(tokenizer)(encode(tokenizer, texts, 40).rows)
    expected = tokenizer([first for first, _ in texts], [second for _, second in texts], padding=True, return_tensors="pt")
    assert set(padded) == set(expected)
    for name, values in padded.items():
        np.testing.assert_array_equal(values, expected[name])


def test_no_texts_are_no_rows(tokenizer: PreTrainedTokenizerBase) -> None:
    assert encode(tokenizer, [], 12).rows == []


def test_the_same_texts_are_tokenised_once(tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "_kept", {})
    texts = [("あいう",), ("か" * 30,)]
    first = encode_once("a", tokenizer, texts, 12)
    assert encode_once("a", tokenizer, list(texts), 12) is first
    assert encode_once("b", tokenizer, texts, 12) is not first
    assert encode_once("a", tokenizer, texts, 20).lengths == [5, 20]
    assert encode_once("a", tokenizer, texts[::-1], 12).lengths == first.lengths[::-1]


def test_the_oldest_tokens_leave_the_memory(tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "_kept", {})
    monkeypatch.setattr(encoding, "_MOST_KEPT", 5)
    parts = [[(character,)] * 2 for character in "あいう"]
    first, second, third = (encode_once("a", tokenizer, part, 12) for part in parts)
    assert encode_once("a", tokenizer, parts[1], 12) is second
    assert encode_once("a", tokenizer, parts[2], 12) is third
    assert encode_once("a", tokenizer, parts[0], 12) is not first
    many = encode_once("a", tokenizer, [("え",)] * 9, 12)
    assert encode_once("a", tokenizer, [("え",)] * 9, 12) is many
