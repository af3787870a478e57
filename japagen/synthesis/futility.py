"""When a label's replies show that a setting is wrong: all of its first ones are rejected for one reason that a setting cures.

A stream that goes on then costs a run and gives nothing. What was made stays, and a run with another setting reads it again.
"""

from collections.abc import Mapping, Sequence

FIRST_REPLIES = 40
"""So many replies of a label in a row must be rejected for one reason; honest streams have an accepted one among them, or two reasons."""
NUM_SHOWN = 3
_SHOWN_CHARS = 100
CURES = {
    "wrong language": "set task.language to the language of the texts ('' accepts any), or ask for that language in the prompts",
    "truncated": "raise llm.sampling.max_tokens, or ask for shorter texts",
    "too long": "raise task.max_chars, or name a lower number in the instructions",
    "too short": "lower task.min_chars, or ask for longer texts",
    "several candidates": "set task.several_lines=true where one text may have several lines, or ask for one text only",
    "not listed": "take an LLM that writes lists as it is asked to, or set synthesis.verbalized=false",
    "empty": "look at the LLM's chat template and reasoning with `japagen doctor llm=NAME`",
    "preamble": "end the instructions with a sentence that asks for the text only",
    "refusal": "reword the prompts, or take another LLM",
    "placeholder": "say in the instructions that names are to be made up",
    "markup": "ask for the text only, without JSON or tags",
    "about the task": "ask for the text only, without a remark on it",
    "repeats the prompt": "reword the instructions, or take another LLM",
    "names its label": "ask for the text only, or change the labels' `word`",
}
"""Reason -> what to do. Failed requests and duplicates aren't here: no setting of the task or the LLM's sampling cures them."""


def futile_reason(num_judged: int, reasons: Mapping[str, int]) -> str | None:
    """The one reason for which all of FIRST_REPLIES or more replies were rejected, where a setting cures it."""
    if num_judged < FIRST_REPLIES or len(reasons) != 1:
        return None
    ((reason, count),) = reasons.items()
    return reason if count == num_judged and reason in CURES else None


def describe_futility(reason: str, num: int, replies: Sequence[str]) -> str:
    """What an error says of it: the reason, some of the replies, what to do."""
    shown = ", ".join(repr(_cut(" ".join(reply.split()))) for reply in replies[:NUM_SHOWN])
    said = f" (the first: {shown})" if shown else ""
    return f"all of the first {num} replies were rejected as {reason!r}{said}. To go on, {CURES[reason]}"


def _cut(reply: str) -> str:
    return reply if len(reply) <= _SHOWN_CHARS else f"{reply[:_SHOWN_CHARS]}…"
