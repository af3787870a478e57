"""What a server turns out not to take, and how requests are changed for it.

OpenAI-compatible servers differ in the fields that they know. Their refusals (400, 422) name the field in words of their own, so a field is
found by its name beside words that say it is unknown or its value not allowed. A field that decides no text is left out (`seed`, with
a note; a sampling value that is the server's default anyway), spelt otherwise (`max_tokens`) or replaced by several requests (`n`). A
field that was set to decide the texts is never left out in silence: the error names its setting.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

logger = logging.getLogger(__name__)

NUM_ALIKE = 3
"""Requests of which each gave nothing but one text again and again, until that is no chance."""
REFUSES_FIELDS = frozenset({400, 422})
MAX_TOKENS, MAX_COMPLETION_TOKENS = "max_tokens", "max_completion_tokens"
_SEED_BITS = (1 << 31) - 1
"""The largest seed of servers that keep it in 32 bits with a sign (Gemini's OpenAI-compatible address)."""
_UNKNOWN = re.compile(
    r"unsupported|not support|n[o']t supported|unrecogni[sz]ed|unknown|unexpected|not permitted|not allowed|extra_forbidden"
    r"|extra (?:inputs|fields)|no such|not accept|not available|not implemented|cannot find field",
    re.I,
)
_BAD_VALUE = re.compile(
    r"must be|should be|invalid|only |at most|at least|out of range|too (?:large|big|many)|less than|greater than|int32|maximum|exceed",
    re.I,
)
_DEFAULTS: dict[str, tuple[str, Any]] = {
    "temperature": ("llm.sampling.temperature", 1.0),
    "top_p": ("llm.sampling.top_p", 1.0),
    "top_k": ("llm.sampling.top_k", 0),
    "repetition_penalty": ("llm.sampling.repetition_penalty", 1.0),
    "stop": ("llm.stop", []),
    "chat_template_kwargs": ("llm.chat_template_args", {}),
}
"""Field -> its setting, and the setting's value that changes nothing."""
_COMMON_WORDS = ("n", "stop", "user", "model", "messages")
"""Fields whose names are words of their own: they count only in quotes."""


@dataclass
class Habits:
    """What one server refuses; all its clients share it."""

    dropped: set[str] = field(default_factory=set)
    one_text: bool = False
    """Every request gets one text, whatever n says."""
    short_seeds: bool = False
    num_alike: int | None = 0
    """Requests from the first one on whose texts were all the same; None once a request's were not, or people know."""
    length_field: str = ""
    """max_tokens or max_completion_tokens; '': the client's choice."""

    def shaped(self, body: dict[str, Any]) -> dict[str, Any]:
        """The body as the server takes it."""
        shaped = {name: value for name, value in body.items() if name not in self.dropped}
        if self.short_seeds and "seed" in shaped:
            shaped["seed"] &= _SEED_BITS
        for name, other in ((MAX_TOKENS, MAX_COMPLETION_TOKENS), (MAX_COMPLETION_TOKENS, MAX_TOKENS)):
            if self.length_field == other and name in shaped:
                shaped[other] = shaped.pop(name)
        return shaped

    def learn(self, sent: Mapping[str, Any], text: str) -> bool:
        """Whether the refusal `text` of the body `sent` leads to other requests from now on. SettingRefusedError where it can't."""
        unknown, bad_value = bool(_UNKNOWN.search(text)), bool(_BAD_VALUE.search(text))
        if MAX_TOKENS in sent and MAX_COMPLETION_TOKENS in text:
            return self._respell(MAX_COMPLETION_TOKENS)
        if not (unknown or bad_value):
            return False
        named = [name for name in sent if name not in ("model", "messages") and _names(text, name)]
        learnt = [self._learn(name, sent[name], unknown) for name in named]
        return any(learnt)

    def gives_one_text(self) -> None:
        """Notes that n is not followed."""
        if not self.one_text:
            self.one_text = True
            logger.warning("note: the LLM server gives one text a request, so each text is a request of its own (seeds stay the same)")

    def note_texts(self, texts: Sequence[str]) -> None:
        """Looks whether the first requests' texts differ, as they do where the server samples; says once where they don't."""
        if self.num_alike is None or len(texts) < 2 or not texts[0]:
            return
        self.num_alike = self.num_alike + 1 if len(set(texts)) == 1 else None
        if self.num_alike == NUM_ALIKE:
            self.num_alike = None
            logger.warning(
                "note: the LLM server gives the same text for different seeds, so it seems not to sample: nearly all texts will be"
                " duplicates. See whether it needs llm.sampling.top_k, or a field of llm.request_args (docs/servers.md)"
            )

    def _learn(self, name: str, value: Any, unknown: bool) -> bool:
        if name == "seed":
            return self._without_seed(value, unknown)
        if name == "n":
            self.dropped.add("n")
            if value > 1:
                self.gives_one_text()
            return True
        if name in (MAX_TOKENS, MAX_COMPLETION_TOKENS):
            return unknown and self._respell(MAX_TOKENS if name == MAX_COMPLETION_TOKENS else MAX_COMPLETION_TOKENS)
        if name == "structured_outputs":
            self._drop(name, "the LLM server takes no structured_outputs, so answers are not forced to be one of the labels")
            return True
        setting, default = _DEFAULTS.get(name, (f"llm.request_args.{name}", None))
        if value != default:
            what = f"set {setting}={default}" if default is not None else f"take {name} out of llm.request_args"
            raise SettingRefusedError(f"refuses {name}={value!r} ({setting}), which decides the texts; {what}, or take another server")
        self.dropped.add(name)
        return True

    def _without_seed(self, value: int, unknown: bool) -> bool:
        if not unknown and value > _SEED_BITS:
            self.short_seeds = True
            return True
        self._drop("seed", "the LLM server takes no seed, so its replies are not reproducible (those stored stay as they are)")
        return True

    def _respell(self, name: str) -> bool:
        """Asks for the length under the other name, once."""
        if self.length_field not in ("", name):
            return False
        self.length_field = name
        return True

    def _drop(self, name: str, note: str) -> None:
        if name not in self.dropped:
            self.dropped.add(name)
            logger.warning("note: %s", note)


class SettingRefusedError(Exception):
    """A setting that decides texts and that the server does not take; the text is the end of a sentence about the server."""


def _names(text: str, name: str) -> bool:
    """Whether a refusal names the field."""
    if name in _COMMON_WORDS:
        return bool(re.search(rf"""["'`]{name}["'`]|\b{name} ?(?:=|>|must be|should be)""", text))
    return bool(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text))
