"""What one stream, or one set of answers, has taken of an LLM, against `llm.max_tokens_total` and `llm.max_cost`.

Counted from the rows' own token counts, over all runs and all writers: what others write is known a second later. Requests that gave no row
(killed, or answered by nothing but errors) are not in it. Each request is reckoned at the mean of those before it while it is open,
so that a limit is passed by about one request a writer at most, except by the very first ones.
"""

from japagen.config.llm import LLM
from japagen.errors import LimitError, ServerError
from japagen.store.rowsfile import StreamRows


class Meter:
    """Tokens and money of the rows of one folder."""

    def __init__(self, llm: LLM, rows: StreamRows, section: str = "llm") -> None:
        """`section`: llm or judge, where the limits are set."""
        self._llm, self._rows, self._section = llm, rows, section

    @property
    def has_limit(self) -> bool:
        return self._llm.max_tokens_total is not None or self._llm.max_cost is not None

    def leaves_room(self, num_open: int) -> bool:
        """Whether one more request may be sent beside `num_open` open ones."""
        return self._reached(num_open) is None

    def check_reported(self, num_tokens: int, error: str) -> None:
        """Raises ServerError for a reply without token counts, where they are needed."""
        if self.has_limit and not num_tokens and not error:
            names = " and ".join(
                f"{self._section}.{name}" for name in ("max_tokens_total", "max_cost") if getattr(self._llm, name) is not None
            )
            raise ServerError(f"{names}: the LLM server reports no token counts (`usage`), so nothing can be counted; leave it out")

    def limit_error(self, what: str, num_done: int, num_wanted: int) -> LimitError:
        """The limit that is reached, what was spent, and what going on would take. `what`: the work in words, e.g. its task."""
        name = self._reached(0) or "max_tokens_total"
        limit, spent = getattr(self._llm, name), self._spent(name)
        missing, unit = max(0, num_wanted - num_done), "" if name == "max_cost" else " tokens"
        tokens = f"{self._rows.prompt_tokens:,} prompt and {self._rows.completion_tokens:,} completion tokens"
        if num_done:
            more = spent / num_done * missing
            total = _shown(spent + more, unit)
            going_on = (
                f"the missing {missing:,} take about {_shown(more, unit)} more at this rate: set {self._section}.{name} to {total} or more"
            )
        else:
            going_on = f"nothing is usable yet, so look at the replies (japagen preview) before you raise {self._section}.{name}"
        return LimitError(
            f"{what}: {self._section}.{name}={limit:g} is reached: {_shown(spent, unit)} spent ({tokens}) on {num_done:,} of"
            f" {num_wanted:,}. What was made stays in {self._rows.folder}; {going_on}, and the same command goes on"
        )

    def _reached(self, num_open: int) -> str | None:
        """The name of a limit that the open requests are going to use up."""
        for name in ("max_tokens_total", "max_cost"):
            limit = getattr(self._llm, name)
            if limit is not None:
                spent = self._spent(name)
                if spent + num_open * spent / max(1, self._rows.num_requests) >= limit:
                    return name
        return None

    def _spent(self, name: str) -> float:
        prompt, completion = self._rows.prompt_tokens, self._rows.completion_tokens
        if name == "max_tokens_total":
            return prompt + completion
        return self._llm.token_cost(prompt, completion) or 0.0


def _shown(amount: float, unit: str) -> str:
    return f"{amount:,.0f}{unit}" if unit else f"{amount:.2f}" if amount >= 1 else f"{amount:.2g}"
