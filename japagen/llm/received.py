"""The JSON of a server's answer -> a Reply, or the fault that it is.

Servers differ in what they call the end of a reply, in the form of its content, and in where thinking is. All of that ends here: a
completion's text is what the LLM wrote, without thinking, and its finish reason one of FINISH_REASONS.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from japagen.prompts.thinking import strip_thinking

FINISH_REASONS = {
    "stop": "a normal end",
    "length": "cut off, by max_tokens or for a reason that is not known here",
    "filtered": "withheld or cut by the provider's content filter",
    "declined": "the server says that the LLM declined",
    "tool call": "the LLM called a tool instead of writing",
    "thinking": "nothing but thinking came",
    "error": "no text came",
}
_NORMAL_ENDS = frozenset({"", "stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete", "completed", "end", "finished", "done"})
"""OpenAI and most others: stop; TGI: eos_token, stop_sequence; Anthropic: end_turn, stop_sequence; Cohere: COMPLETE."""
_ENDS = {
    **dict.fromkeys(("content_filter", "content_filtered", "safety", "recitation", "blocklist", "prohibited_content", "spii"), "filtered"),
    **dict.fromkeys(("guardrail_intervened", "sensitive", "filtered"), "filtered"),
    **dict.fromkeys(("refusal", "declined"), "declined"),
    **dict.fromkeys(("tool_calls", "tool_call", "tool_use", "function_call"), "tool call"),
}
"""OpenAI: content_filter, tool_calls; Gemini: SAFETY and those after it; Anthropic: refusal, tool_use. All others than a normal end mean
that the reply is cut: length, max_tokens (Anthropic), MAX_TOKENS (Gemini), model_length (Mistral), …"""
_ABORTED = frozenset({"abort", "aborted", "cancelled", "insufficient_system_resource"})
"""vLLM as it shuts down; DeepSeek under load: the request is asked again."""


@dataclass(frozen=True)
class Completion:
    """One text."""

    text: str
    finish_reason: str
    """One of FINISH_REASONS."""
    thought: bool = False
    """Whether thinking came with it, in the text or beside it. It is not stored."""


@dataclass(frozen=True)
class Reply:
    """What a request gave: always n completions, in the order of their seeds."""

    completions: tuple[Completion, ...]
    prompt_tokens: int
    completion_tokens: int
    error: str = ""
    """Why the row failed for good; its completions are empty then."""
    scored_tokens: tuple[tuple[int, float], ...] = ()
    """kind=score: (token id, log-probability given all before it) of the chat's tokens, from the second one on."""
    next_logprobs: tuple[dict[int, float], ...] = ()
    """kind=next: for each prompt, token id -> log-probability."""
    token_ids: tuple[int, ...] = ()
    """kind=tokens."""


@dataclass(frozen=True)
class Fault:
    """An attempt that gave no reply."""

    kind: str
    """refused: this row, for good; malformed or internal: an answer, but none we can use; passing: try again."""
    text: str
    retry_after_s: float = 0.0


def joined(replies: Sequence[Reply]) -> Reply:
    """Replies to the parts of one request, as the reply to the whole."""
    return Reply(
        tuple(completion for reply in replies for completion in reply.completions),
        sum(reply.prompt_tokens for reply in replies),
        sum(reply.completion_tokens for reply in replies),
        next((reply.error for reply in replies if reply.error), ""),
    )


def read_reply(content: bytes, n: int) -> Reply | Fault:
    """The reply with its n completions."""
    try:
        answer = json.loads(content)
        choices = sorted(answer["choices"], key=lambda choice: choice.get("index", 0))
        ends = [str(choice.get("finish_reason") or "").lower() for choice in choices]
        completions = tuple(_completion(choice["message"], end) for choice, end in zip(choices, ends, strict=True))
        "".join(completion.text for completion in completions).encode()  # refuses half a surrogate pair
        usage = answer.get("usage") or {}
        tokens = int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return Fault("malformed", f"no chat completion: {content.decode('utf-8', 'replace')[:300]}")
    if any(end in _ABORTED for end in ends):
        return Fault("passing", "the server aborted the request")
    if "error" in ends:
        return Fault("malformed", "the server ended the reply with finish_reason=error")
    if len(completions) != n:
        advice = "; for a server that can't give several, set synthesis.texts_per_request=1" if n > 1 else ""
        return Fault("malformed", f"{len(completions)} texts where n={n} were asked for{advice}")
    return Reply(completions, *tokens)


def num_texts(content: bytes) -> int:
    """How many texts an answer holds; 0 for what is none."""
    try:
        return len(json.loads(content)["choices"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0


def _completion(message: dict[str, Any], end: str) -> Completion:
    """The text that a message holds, and how it ended."""
    content, thoughts, refusal = _parts(message.get("content"))
    text, had_tags = strip_thinking(content)
    thoughts = thoughts or had_tags or any(_holds_text(message.get(name)) for name in ("reasoning_content", "reasoning", "thinking"))
    refusal = refusal or str(message.get("refusal") or "")
    finish = "stop" if end in _NORMAL_ENDS else _ENDS.get(end, "length")
    if refusal and not text.strip():
        return Completion(refusal, "declined")
    if not text.strip() and finish in ("stop", "length"):
        if message.get("tool_calls") or message.get("function_call"):
            return Completion("", "tool call")
        if thoughts:
            return Completion("", "thinking", thought=True)
    return Completion(text, finish, thoughts)


def _parts(content: Any) -> tuple[str, bool, str]:
    """(text, whether thinking stood beside it, refusal) of a message's content: a text, None, or a list of parts."""
    if content is None:
        return "", False, ""
    if isinstance(content, str):
        return content, False, ""
    if not isinstance(content, list):
        raise TypeError(type(content))
    texts, thoughts, refusal = [], False, ""
    for part in content:
        if isinstance(part, str):
            texts.append(part)
        elif part.get("type") in ("thinking", "reasoning", "redacted_thinking"):
            thoughts = True
        elif part.get("type") == "refusal":
            refusal = str(part.get("refusal") or "")
        elif isinstance(part.get("text"), str):
            texts.append(part["text"])
    return "".join(texts), thoughts, refusal


def _holds_text(value: Any) -> bool:
    return bool(value.strip() if isinstance(value, str) else value)


def read_next(answer: dict[str, Any], num_prompts: int, token_ids: Sequence[int]) -> tuple[dict[int, float], ...]:
    """Log-probabilities of `token_ids` after each prompt, from keys such as 'token_id:42'; KeyError where one is missing."""
    choices = sorted(answer["choices"], key=lambda choice: int(choice["index"]))
    top_logprobs = [choice["logprobs"]["top_logprobs"][0] for choice in choices]
    if len(top_logprobs) != num_prompts:
        raise ValueError(len(top_logprobs))
    return tuple({token: finite(tops[f"token_id:{token}"]) for token in token_ids} for tops in top_logprobs)


def finite(value: Any) -> float:
    """The number; ValueError for nan and infinity, which JSON can write and no probability comes from."""
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(number)
    return number
