"""Tokenizers of the demo models: sentences -> one Unigram vocabulary -> the LM's and the encoder's fast tokenizer.

Unigram without word splitting, with byte fallback, so any text can be written. The LM's also holds the phrases of the
tasks' prompts as whole tokens: a constant prompt of 200 characters then takes about ten tokens, which makes training and
serving several times cheaper. A prompt that somebody rewrites is read as ordinary pieces.
"""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, processors, trainers

from japagen.tasks import Task

VOCABULARY = 5800
"""Pieces, bytes included; the LM's prompt phrases come on top."""
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
END, PAD, UNKNOWN = "<|end|>", "<|pad|>", "<unk>"
ENCODER_SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[MASK]")
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)

Pieces = list[tuple[str, float]]
"""(piece, log probability)."""


def train_pieces(sentences: Iterable[str], size: int = VOCABULARY) -> Pieces:
    """A Unigram vocabulary of `size` pieces: <unk>, 256 byte pieces, then pieces of at most 8 characters."""
    tokenizer = Tokenizer(models.Unigram())
    trainer = trainers.UnigramTrainer(
        vocab_size=size - 256, unk_token=UNKNOWN, special_tokens=[UNKNOWN], max_piece_length=8, show_progress=False
    )
    tokenizer.train_from_iterator(sentences, trainer)
    pieces = json.loads(tokenizer.to_str())["model"]["vocab"]
    lowest = min(score for _, score in pieces)
    in_bytes = [(f"<0x{byte:02X}>", lowest - 5.0) for byte in range(256)]
    return [(UNKNOWN, lowest - 10.0), *in_bytes, *((piece, score) for piece, score in pieces[1:])]


def prompt_phrases(tasks: Iterable[Task]) -> list[str]:
    """The clauses of all prompts of the tasks (base and kadg), each once."""
    texts = []
    for task in tasks:
        texts += [task.system, task.first_instruction, *(text for label in task.labels for text in (label.instruction, label.described))]
        texts += [attribute.phrase.replace("{value}", value) for attribute in task.attributes for value in attribute.values]
    clauses = [clause for text in texts for clause in re.findall(r"[^、。\n]+[、。]*", text)]
    return list(dict.fromkeys(clause for clause in clauses if len(clause) > 3))


def llm_tokenizer(pieces: Pieces, phrases: Sequence[str]) -> Tokenizer:
    """The LM's: pieces, turn markers, then the prompts' phrases."""
    tokenizer = _unigram(pieces)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in (PAD, END, *ROLES)])
    tokenizer.add_tokens([AddedToken(phrase, normalized=False) for phrase in phrases])
    return tokenizer


def encoder_tokenizer(pieces: Pieces) -> Tokenizer:
    """The encoder's: [CLS] a [SEP], or [CLS] a [SEP] b [SEP] with type ids 0 and 1."""
    tokenizer = _unigram(pieces)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in ENCODER_SPECIAL])
    marks = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=marks
    )
    return tokenizer


def id_of(tokenizer: Tokenizer, token: str) -> int:
    """The id of a token that the tokenizer is known to hold."""
    found: int | None = tokenizer.token_to_id(token)
    assert found is not None, token
    return found


def _unigram(pieces: Pieces) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=True))
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


def save_llm_tokenizer(tokenizer: Tokenizer, folder: Path, context: int) -> None:
    """Writes tokenizer.json and what transformers and vLLM read beside it, chat template included."""
    settings = {"eos_token": END, "pad_token": PAD, "unk_token": UNKNOWN, "chat_template": CHAT_TEMPLATE, "model_max_length": context}
    _save(tokenizer, folder, settings)


def save_encoder_tokenizer(tokenizer: Tokenizer, folder: Path, context: int) -> None:
    """Writes tokenizer.json and what transformers reads beside it."""
    pad, cls, sep, mask = ENCODER_SPECIAL
    settings = {
        "pad_token": pad, "cls_token": cls, "sep_token": sep, "mask_token": mask, "unk_token": UNKNOWN, "model_max_length": context,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
    }  # fmt: skip
    _save(tokenizer, folder, settings)


def _save(tokenizer: Tokenizer, folder: Path, settings: dict[str, object]) -> None:
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **settings}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
