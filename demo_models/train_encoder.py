"""Trains the demo encoder: passages -> a BERT-architecture model in a folder.

Two objectives share every batch. Masked-language modelling on single sentences and on pairs of related ones: a word that is
masked on one side can often be read off the other, which teaches attention across a pair. And classifying a passage's kind at the
pooled output, in the manner of BERT's next-sentence head: proper or spoilt, or the label of a task's row (`texts`). The head
that classifies kinds is not kept.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertConfig, BertForPreTraining

from demo_models.loop import Batch, Checkpoint, Record, bucketed, loss_at, pad, run_name, train
from demo_models.texts import Passage
from demo_models.tokenizer import id_of, save_encoder_tokenizer

CONTEXT = 256
TOKENS_PER_STEP = 4096
PEAK_LEARNING_RATE = 3e-3
MASKED = 0.2
KIND_WEIGHT = 2.0
MASKED_ROW = -100
"""In place of a kind: the row is one to mask."""


def batches(passages: Iterator[Passage], tokenizer: Tokenizer, kinds: list[str], seed: int) -> Iterator[Batch]:
    """Batches (B, T): `input_ids` with masks, `labels` (the true ids), `chosen` (where they are asked), types, attention.

    `kinds` (B): an index of `kinds` in rows that are asked for it, which hold no masks; -100 in the others.
    """
    generator = torch.Generator().manual_seed(seed)
    padding, mask = id_of(tokenizer, "[PAD]"), id_of(tokenizer, "[MASK]")
    sep, cls = id_of(tokenizer, "[SEP]"), id_of(tokenizer, "[CLS]")
    index_of: dict[str | None, int] = {kind: index for index, kind in enumerate(kinds)}
    index_of[None] = MASKED_ROW
    rows = ((_ids(passage, tokenizer), index_of[passage.kind]) for passage in passages)
    fitting = (row for row in rows if len(row[0]) <= CONTEXT)
    for group in bucketed(fitting, TOKENS_PER_STEP, length=lambda row: len(row[0])):
        labels, asked = pad([ids for ids, _ in group], padding), torch.tensor([kind for _, kind in group])
        ordinary = torch.isin(labels, torch.tensor([padding, sep, cls]), invert=True)
        ordinary &= asked.eq(MASKED_ROW)[:, None]
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
            "kinds": asked,
        }


def _ids(passage: Passage, tokenizer: Tokenizer) -> list[int]:
    texts = passage.texts
    found: list[int] = tokenizer.encode(texts[0], texts[1] if len(texts) > 1 else None).ids
    return found


def build_model(vocabulary: int, padding: int) -> BertForPreTraining:
    """An untrained model of about 4 million parameters."""
    config = BertConfig(
        vocab_size=vocabulary, hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=768,
        max_position_embeddings=CONTEXT, pad_token_id=padding, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    model = BertForPreTraining(config)
    model.set_attn_implementation("eager")  # faster for short rows on the CPU (torch 2.13)
    return model


def train_encoder(
    passages: Iterator[Passage], tokenizer: Tokenizer, kinds: list[str], folder: Path, minutes: float, seed: int, checkpoint: Path
) -> Record:
    """Trains for `minutes` and writes model and tokenizer into `folder`; `kinds`: all that a passage has. Resumes from `checkpoint`."""
    torch.manual_seed(seed)
    model = build_model(-(-tokenizer.get_vocab_size() // 64) * 64, id_of(tokenizer, "[PAD]"))
    head = nn.Linear(model.config.hidden_size, len(kinds))

    def loss_of(batch: Batch) -> Tensor:
        given = {name: batch[name] for name in ("input_ids", "token_type_ids", "attention_mask")}
        encoded = model.bert(**given)
        loss = torch.zeros(())
        if batch["chosen"].any():
            loss = loss + loss_at(batch["chosen"], model.cls.predictions, encoded.last_hidden_state, batch["labels"])
        if batch["kinds"].ne(MASKED_ROW).any():
            logits = head(encoded.pooler_output).float()
            loss = loss + KIND_WEIGHT * functional.cross_entropy(logits, batch["kinds"], ignore_index=MASKED_ROW)
        return loss

    whole, rows = nn.ModuleDict({"model": model, "head": head}), batches(passages, tokenizer, kinds, seed)
    record = train(whole, rows, loss_of, minutes, PEAK_LEARNING_RATE, Checkpoint(checkpoint, run_name(tokenizer, minutes, seed, *kinds)))
    model.config.hidden_dropout_prob = model.config.attention_probs_dropout_prob = 0.1
    model.half().save_pretrained(folder)
    save_encoder_tokenizer(tokenizer, folder, CONTEXT)
    return record
