"""Trains the demo encoder: sentences and related pairs -> a BERT-architecture model in a folder.

Masked-language modelling on single sentences and on pairs of related ones, so that attention across a pair is learned:
a word that is masked on one side can often be read off the other.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import BertConfig, BertForMaskedLM

from japagen.demo.loop import Batch, Record, bucketed, loss_at, pad, train
from japagen.demo.tokenizer import id_of, save_encoder_tokenizer

CONTEXT = 256
TOKENS_PER_STEP = 4096
PEAK_LEARNING_RATE = 3e-3
MASKED = 0.2
Texts = tuple[str, ...]


def batches(texts: Iterator[Texts], tokenizer: Tokenizer, seed: int) -> Iterator[Batch]:
    """Batches (B, T): `input_ids` with masks, `labels` (the true ids), `chosen` (where they are asked), types, attention."""
    generator = torch.Generator().manual_seed(seed)
    padding, mask = id_of(tokenizer, "[PAD]"), id_of(tokenizer, "[MASK]")
    sep, cls = id_of(tokenizer, "[SEP]"), id_of(tokenizer, "[CLS]")
    rows = (tokenizer.encode(pair[0], pair[1] if len(pair) > 1 else None).ids for pair in texts)
    for group in bucketed((row for row in rows if len(row) <= CONTEXT), TOKENS_PER_STEP):
        labels = pad(group, padding)
        ordinary = torch.isin(labels, torch.tensor([padding, sep, cls]), invert=True)
        chosen = ordinary & (torch.rand(labels.shape, generator=generator) < MASKED)
        drawn = torch.rand(labels.shape, generator=generator)
        ids = torch.where(chosen & (drawn < 0.8), mask, labels)
        random_ids = torch.randint(257, sep - 2, labels.shape, generator=generator)
        ids = torch.where(chosen & (drawn > 0.9), random_ids, ids)
        ends = labels.eq(sep).long()
        yield {
            "input_ids": ids,
            "labels": labels,
            "chosen": chosen,
            "token_type_ids": (ends.cumsum(1) - ends).clamp(max=1) * labels.ne(padding),
            "attention_mask": labels.ne(padding).long(),
        }


def build_model(vocabulary: int, padding: int) -> BertForMaskedLM:
    """An untrained model of about 4 million parameters."""
    config = BertConfig(
        vocab_size=vocabulary, hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=768,
        max_position_embeddings=CONTEXT, pad_token_id=padding, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    model = BertForMaskedLM(config)
    model.set_attn_implementation("eager")  # faster for short rows on the CPU (torch 2.13)
    return model


def train_encoder(texts: Iterator[Texts], tokenizer: Tokenizer, folder: Path, minutes: float, seed: int) -> Record:
    """Trains for `minutes` and writes model and tokenizer into `folder`."""
    torch.manual_seed(seed)
    model = build_model(-(-tokenizer.get_vocab_size() // 64) * 64, id_of(tokenizer, "[PAD]"))

    def loss_of(batch: Batch) -> Tensor:
        hidden = model.bert(
            input_ids=batch["input_ids"], token_type_ids=batch["token_type_ids"], attention_mask=batch["attention_mask"]
        ).last_hidden_state
        return loss_at(batch["chosen"], model.cls, hidden, batch["labels"])

    record = train(model, batches(texts, tokenizer, seed), loss_of, minutes, PEAK_LEARNING_RATE)
    model.config.hidden_dropout_prob = model.config.attention_probs_dropout_prob = 0.1
    model.half().save_pretrained(folder)
    save_encoder_tokenizer(tokenizer, folder, CONTEXT)
    return record
