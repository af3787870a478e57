"""A stream's rows in memory, as a selector reads them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reply:
    text: str
    finish_reason: str = "stop"


class Rows(dict[tuple[str, int, int], Reply]):
    """Rows by (label, index, turn), as a stream gives them."""

    def get(self, label: str, index: int, turn: int) -> Reply | None:  # type: ignore[override]
        return super().get((label, index, turn))
