"""Trains the demo LM: chats -> a Llama-architecture model in a folder that transformers and vLLM load.

The loss is taken on the assistant's turns only, all of them, so that a pair teaches both its sentences.
"""

import random
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from demo_models.loop import Batch, Checkpoint, Record, bucketed, loss_at, pad, run_name, train
from demo_models.tokenizer import END, PAD, id_of, save_llm_tokenizer
from japagen.prompts.writing import Message

CONTEXT = 1024
TOKENS_PER_STEP = 4096
PEAK_LEARNING_RATE = 4e-3
SPELLED_OUT = 0.08
"""Share of chats whose prompts are read as ordinary pieces, so that a rewritten prompt isn't all news to the model."""
IGNORED = -100


class ChatEncoder:
    """Chats -> token ids, as the chat template would give them, with the assistant's tokens marked."""

    def __init__(self, tokenizer: Tokenizer, pieces: Tokenizer) -> None:
        """`pieces`: the same tokenizer without the prompts' phrases."""
        self._tokenizer, self._pieces = tokenizer, pieces
        self._end = id_of(tokenizer, END)
        self._prompts: dict[str, list[int]] = {}

    def encode(self, chat: list[Message], spelled_out: bool = False) -> list[int]:
        """Ids of the chat; those of the assistant's replies and their ends are written as -1 - id."""
        ids: list[int] = []
        for message in chat:
            ids.append(id_of(self._tokenizer, f"<|{message['role']}|>"))
            if message["role"] == "assistant":
                ids += [-1 - token for token in (*self._tokenizer.encode(message["content"]).ids, self._end)]
            else:
                ids += [*self._prompt_ids(message["content"], spelled_out), self._end]
        return ids

    def _prompt_ids(self, text: str, spelled_out: bool) -> list[int]:
        if spelled_out:
            return self._pieces.encode(text).ids
        if len(self._prompts) > 1000:
            self._prompts.clear()
        if text not in self._prompts:
            self._prompts[text] = self._tokenizer.encode(text).ids
        return self._prompts[text]


def batches(chats: Iterator[list[Message]], encoder: ChatEncoder, padding: int, seed: int) -> Iterator[Batch]:
    """Batches of `input_ids` and `labels`, both (B, T) int64; labels are the next tokens, -100 where no loss is taken."""
    rng = random.Random(seed)
    rows = (encoder.encode(chat, rng.random() < SPELLED_OUT) for chat in chats)
    for group in bucketed((row for row in rows if len(row) <= CONTEXT), TOKENS_PER_STEP):
        marked = pad(group, padding)
        ids = torch.where(marked < 0, -1 - marked, marked)
        labels = torch.where(marked < 0, ids, IGNORED)
        yield {"input_ids": ids, "labels": functional.pad(labels[:, 1:], (0, 1), value=IGNORED)}


def build_model(vocabulary: int, tokenizer: Tokenizer) -> LlamaForCausalLM:
    """An untrained model of about 6 million parameters, input and output embeddings shared."""
    end, padding = id_of(tokenizer, END), id_of(tokenizer, PAD)
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=256, intermediate_size=672, num_hidden_layers=6, num_attention_heads=4, num_key_value_heads=4,
        max_position_embeddings=CONTEXT, tie_word_embeddings=True, bos_token_id=None, eos_token_id=end, pad_token_id=padding,
        initializer_range=0.03,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.set_attn_implementation("eager")  # on the CPU the backward pass of flash attention is slower for short rows (torch 2.13)
    return model


def train_llm(
    chats: Iterator[list[Message]], tokenizer: Tokenizer, pieces: Tokenizer, folder: Path, minutes: float, seed: int, checkpoint: Path
) -> Record:
    """Trains for `minutes` and writes model, tokenizer and generation settings into `folder`; resumes from `checkpoint`."""
    torch.manual_seed(seed)
    padding = id_of(tokenizer, PAD)
    vocabulary = -(-tokenizer.get_vocab_size() // 64) * 64
    model = build_model(vocabulary, tokenizer)

    def loss_of(batch: Batch) -> Tensor:
        hidden = model.model(input_ids=batch["input_ids"], use_cache=False).last_hidden_state
        return loss_at(batch["labels"] != IGNORED, model.lm_head, hidden, batch["labels"])

    rows, state = batches(chats, ChatEncoder(tokenizer, pieces), padding, seed), Checkpoint(checkpoint, run_name(tokenizer, minutes, seed))
    record = train(model, rows, loss_of, minutes, PEAK_LEARNING_RATE, state)
    model.generation_config = GenerationConfig(
        do_sample=True, temperature=1.0, top_p=0.95, max_new_tokens=64, eos_token_id=model.config.eos_token_id, pad_token_id=padding
    )
    model.bfloat16().save_pretrained(folder)
    save_llm_tokenizer(tokenizer, folder, CONTEXT)
    return record
