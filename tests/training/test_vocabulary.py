"""Training on the tokens that occur gives the student that training on the whole vocabulary gives."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from japagen.config.schema import Encoder, Train
from japagen.tasks import Example, Task
from japagen.training import student
from japagen.training.encoding import Encoded
from japagen.training.prediction import predict
from japagen.training.student import train_student
from japagen.training.vocabulary import UsedEmbedding, Vocabulary

SIZES = {"vocab_size": 30, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


class Whole:
    """A Vocabulary that changes nothing."""

    def __init__(self, *parts: object) -> None: ...

    def put_back(self, model: object, decay: float) -> None: ...


def encoded(*ids: int) -> Encoded:
    return Encoded([{"input_ids": np.array(ids, dtype=np.int32)}], 0)


@pytest.mark.parametrize("is_validated", [True, False])
def test_the_student_is_that_of_the_whole_vocabulary(
    keyword_task: Task, encoder: Encoder, encoder_path: str, keyword_rows: list[Example], train: Train, is_validated: bool,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The texts asked about hold tokens that no row has: their embeddings are decayed as training would have."""
    train.weight_decay, train.learning_rate = 0.5, 3e-3
    rows = [row for row in keyword_rows if not set(row.texts[0]) & set("あいうえお")][:60]
    valid = rows[40:] if is_validated else []
    outputs, tables = [], []
    for kind in (Vocabulary, Whole):
        monkeypatch.setattr(student, "Vocabulary", kind)
        out = tmp_path / kind.__name__
        train_student(
            keyword_task, encoder, encoder_path, None, train, rows[:40], valid, 0, out, tmp_path / f"{kind.__name__}-work", device="cpu"
        )
        outputs.append(predict(out, [("あいうえおめ",), ("かきあも",), (rows[0].texts[0],)], "cpu"))
        tables.append(AutoModelForSequenceClassification.from_pretrained(out).get_input_embeddings().weight.detach())
    assert tables[0].shape == tables[1].shape
    torch.testing.assert_close(tables[0], tables[1], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-5)


@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert"])
def test_a_reduced_model_answers_as_the_whole_one(family: str) -> None:
    """RoBERTa counts positions from the padding id, so models keep seeing the vocabulary's own ids."""
    torch.manual_seed(0)
    model = {
        "bert": lambda: BertForSequenceClassification(BertConfig(**SIZES, pad_token_id=0)),
        "roberta": lambda: RobertaForSequenceClassification(RobertaConfig(**SIZES, pad_token_id=1)),
        "modernbert": lambda: ModernBertForSequenceClassification(
            ModernBertConfig(**SIZES, pad_token_id=3, cls_token_id=4, sep_token_id=5)
        ),
    }[family]().eval()
    ids = torch.tensor([[7, 9, 29, 12], [8, 9, model.config.pad_token_id, model.config.pad_token_id]])
    mask = (ids != model.config.pad_token_id).long()
    table = model.get_input_embeddings().weight.detach().clone()
    before = model(input_ids=ids, attention_mask=mask).logits
    vocabulary = Vocabulary(model, [encoded(7, 9, 29, 12), encoded(8)], [model.config.pad_token_id])
    reduced = model.get_input_embeddings()
    assert isinstance(reduced, UsedEmbedding)
    assert len(reduced.weight) == 6
    torch.testing.assert_close(model(input_ids=ids, attention_mask=mask).logits, before)
    vocabulary.put_back(model, 0.5)
    scaled = table * 0.5
    scaled[[7, 8, 9, 12, 29, model.config.pad_token_id]] = table[[7, 8, 9, 12, 29, model.config.pad_token_id]]
    assert torch.equal(model.get_input_embeddings().weight, scaled)


def test_the_padding_token_gets_no_gradient() -> None:
    whole = torch.nn.Embedding(5, 2, padding_idx=3)
    used = UsedEmbedding(whole, torch.tensor([1, 3]))
    used(torch.tensor([3, 1])).sum().backward()
    assert used.weight.grad is not None
    assert used.weight.grad.tolist() == [[1.0, 1.0], [0.0, 0.0]]


def test_a_shared_table_stays_whole() -> None:
    model = BertForSequenceClassification(BertConfig(**SIZES))
    model.register_module("head", torch.nn.Linear(16, 30, bias=False))
    model.head.weight = model.get_input_embeddings().weight
    Vocabulary(model, [encoded(7)])
    assert type(model.get_input_embeddings()) is torch.nn.Embedding
