"""Shipped encoders' architectures and tokenizers, in shapes of our own: each is loaded, trained for some steps and asked.

The weights are random and small; folders have the files that the makers' repositories have, those of sentence-transformers too.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, ModernBertConfig, ModernBertModel, PreTrainedTokenizerFast

from japagen.config.schema import Encoder, Train
from japagen.tasks import Example, Label, Task
from japagen.training.frozen import frozen_encoder
from japagen.training.prediction import predict
from japagen.training.speed import measure_speed
from japagen.training.student import train_student

SIZES: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
WORDS = ["公園", "の", "犬", "猫", "が", "走る", "眠る", "。"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
Folder = Callable[[Path], None]


def sentence_transformer(folder: Path) -> None:
    """What sentence-transformers puts beside a model: pooling, and a tokenizer that pads and cuts by itself."""
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(
        '{"word_embedding_dimension": 32, "pooling_mode_mean_tokens": true}', encoding="utf-8"
    )
    modules = [{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"}]
    (folder / "modules.json").write_text(json.dumps(modules), encoding="utf-8")
    (folder / "config_sentence_transformers.json").write_text('{"prompts": {"query": "query: "}}', encoding="utf-8")


def fast_tokenizer(folder: Path, pads: bool) -> int:
    """A tokenizer of characters as one file; the size of its vocabulary."""
    names = [*SPECIAL, *sorted(set("".join(WORDS)))]
    backend = Tokenizer(models.WordLevel({name: place for place, name in enumerate(names)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    if pads:  # as the tokenizer.json of all-MiniLM-L6-v2
        backend.enable_truncation(6)
        backend.enable_padding(length=6)
    names_of = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    PreTrainedTokenizerFast(tokenizer_object=backend, **names_of).save_pretrained(folder)
    return len(names)


def ruri(folder: Path) -> None:
    """Ruri v3: ModernBERT with the files of a sentence encoder."""
    size = fast_tokenizer(folder, pads=False)
    special = {"pad_token_id": 0, "cls_token_id": 2, "bos_token_id": 2, "sep_token_id": 3, "eos_token_id": 3}
    ModernBertModel(ModernBertConfig(vocab_size=size, max_position_embeddings=64, **special, **SIZES)).save_pretrained(folder)
    sentence_transformer(folder)


def minilm(folder: Path) -> None:
    """All-MiniLM-L6-v2 and E5: BERT with the files of a sentence encoder."""
    size = fast_tokenizer(folder, pads=True)
    BertModel(BertConfig(vocab_size=size, max_position_embeddings=64, **SIZES)).save_pretrained(folder)
    sentence_transformer(folder)


def tohoku(folder: Path, subwords: str, vocabulary: list[str]) -> None:
    """Tohoku's BERTs: words of MeCab with unidic-lite, then pieces or characters."""
    settings = {"tokenizer_class": "BertJapaneseTokenizer", "word_tokenizer_type": "mecab", "subword_tokenizer_type": subwords}
    settings |= {"mecab_kwargs": {"mecab_dic": "unidic_lite"}, "do_lower_case": False}  # type: ignore[dict-item]
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    (folder / "vocab.txt").write_text("\n".join([*SPECIAL, *vocabulary]), encoding="utf-8")
    BertModel(BertConfig(vocab_size=len(SPECIAL) + len(vocabulary), max_position_embeddings=64, **SIZES)).save_pretrained(folder)


def bert_large(folder: Path) -> None:
    """BERT large Japanese v2."""
    tohoku(folder, "wordpiece", WORDS)


def bert_char(folder: Path) -> None:
    """BERT base Japanese of characters v3."""
    tohoku(folder, "character", sorted(set("".join(WORDS))))


@pytest.mark.parametrize(("build", "tokens"), [(ruri, 10), (minilm, 10), (bert_large, 8), (bert_char, 10)])
def test_an_encoder_is_loaded_trained_and_asked(build: Folder, tokens: int, tmp_path: Path) -> None:
    source, student = tmp_path / "encoder", tmp_path / "student"
    source.mkdir()
    build(source)
    task = Task(name="animal", labels=[Label("dog", "書く"), Label("cat", "書く")], metric="accuracy", system="s")
    rows = [
        Example((f"公園の{word}が走る。",), label, id=f"{word}{place}")
        for place in range(16)
        for word, label in (("犬", "dog"), ("猫", "cat"))
    ]
    encoder = Encoder(name="tiny", id="tests/tiny", max_length=32)
    vectors = frozen_encoder(task, encoder, str(source), None, "cpu")([row.texts[0] for row in rows])
    assert vectors.shape == (32, 32)
    assert len(np.unique(vectors.round(4), axis=0)) == 2, "a text's vector doesn't depend on what it is encoded with"
    train = Train(batch_size=8, learning_rate=5e-3, steps=60)
    train_student(task, encoder, str(source), None, train, rows, [], 0, student, tmp_path / "work", device="cpu")
    texts = [("公園の犬が走る。",), ("公園の猫が走る。",)]
    assert predict(student, texts, "cpu").argmax(axis=1).tolist() == [0, 1]
    from transformers import AutoTokenizer

    ids = AutoTokenizer.from_pretrained(student)("公園の犬が走る。", truncation=True)["input_ids"]
    assert len(ids) == tokens, "no prefix, no padding, and cut only at the encoder's own length"
    assert 1 not in ids, "no unknown token"


def test_speed_is_measured_of_pairs_and_regressions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from japagen.training import speed

    monkeypatch.setattr(speed, "TIMED_S", 0.0)
    source = tmp_path / "encoder"
    source.mkdir()
    minilm(source)
    labels = [Label(str(level), "書く", score=float(level)) for level in (0, 5)]
    task = Task(name="likeness", kind="pair", target="regression", metric="spearman", fields=["a", "b"], labels=labels, system="s")
    found = measure_speed(task, Encoder(name="tiny", id="tests/tiny", max_length=32), str(source), None, 4, "cpu")
    assert (found.device, found.precision, found.batch_size, found.is_finite) == ("cpu", "32-true", 4, True)
    assert 10 < found.tokens_per_text <= 32
    assert 0 < found.unknown < 1
    assert min(found.train_texts_per_s, found.predict_texts_per_s) > 0
