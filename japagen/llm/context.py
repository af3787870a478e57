"""Whether prompts and replies fit the LLM's context, checked with its tokenizer before a server starts."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from japagen.config.llm import LLM
from japagen.errors import ConfigError
from japagen.hub.models import find_file
from japagen.prompts.writing import Message

TEMPLATE_TOKENS = 8
"""Allowed for what a chat template puts around one message."""
PLAIN_TOKENS = 2
"""What llm.chat_template=plain puts around a whole chat: BOS, and the line end after a reply."""


def check_context(llm: LLM, revision: str, prompts: Sequence[list[Message]], task: str, max_tokens: int) -> None:
    """Raises ConfigError when the longest prompt and a reply of `max_tokens` exceed `max_model_len`.

    A server of somebody else's (`llm.base_url`) or a model without tokenizer.json can't be measured and passes.
    """
    if llm.base_url is not None:
        return
    path = find_file(llm.id, revision, "tokenizer.json")
    if path is None:
        return
    count = _num_plain_tokens if llm.continues else _num_tokens
    longest = max(count(path, messages) for messages in prompts)
    if longest + max_tokens > llm.max_model_len:
        raise ConfigError(
            f"llm.max_model_len={llm.max_model_len} is too small for task {task!r}: the longest prompt takes about {longest} tokens and"
            f" the reply up to {max_tokens}; lower shots, llm.sampling.max_tokens (answers: method.max_tokens) or, with"
            " synthesis.verbalized, synthesis.texts_per_request, or raise llm.max_model_len where the model allows it"
        )


def _num_tokens(path: Path, messages: list[Message]) -> int:
    tokenizer = _load(path)
    return sum(len(tokenizer.encode(message["content"]).ids) + TEMPLATE_TOKENS for message in messages)


def _num_plain_tokens(path: Path, messages: list[Message]) -> int:
    text = "".join(message["content"] for message in messages)
    return len(_load(path).encode(text, add_special_tokens=False).ids) + PLAIN_TOKENS


@lru_cache
def _load(path: Path):  # type: ignore[no-untyped-def]
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(path))
