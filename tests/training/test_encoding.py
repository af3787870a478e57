import numpy as np
import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from japagen.training.encoding import Row, encode, padding_of


@pytest.fixture(scope="module")
def tokenizer(encoder_path: str) -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(encoder_path)


def spelled(tokenizer: PreTrainedTokenizerBase, row: Row) -> str:
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
