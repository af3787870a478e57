"""Shows how far a stream is: a live line on a terminal, a plain line every ten seconds elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live

from japagen.output import format_duration
from japagen.synthesis.generate import StreamProgress

PLAIN_EVERY_S = 10.0
_LIVE_EVERY_S = 0.25


def progress_line(name: str, progress: StreamProgress) -> str:
    """'jnli: 120/300 texts, 14 rejected (too long 9), 45.1 rows/s, 812 tokens/s, 4 s left'."""
    speed = f"{progress.rows_per_s:.1f} rows/s, {progress.tokens_per_s:.0f} tokens/s"
    commonest = f" ({progress.commonest})" if progress.commonest else ""
    text = f"{name}: {progress.accepted}/{progress.wanted} texts, {progress.rejected} rejected{commonest}, {speed}"
    missing = progress.wanted - progress.accepted
    if progress.new_rows and progress.accepted and missing and progress.seconds > 1:
        rows_per_text = (progress.accepted + progress.rejected) / progress.accepted
        text += f", {format_duration(missing * rows_per_text / progress.rows_per_s)} left"
    return text


class ProgressDisplay:
    """Takes a StreamProgress as often as it comes and shows it as often as a reader wants it."""

    def __init__(self, name: str, live: Live | None) -> None:
        self._name, self._live = name, live
        self._shown = time.monotonic()
        self._last: StreamProgress | None = None

    def show(self, progress: StreamProgress) -> None:
        self._last = progress
        if time.monotonic() - self._shown < (PLAIN_EVERY_S if self._live is None else _LIVE_EVERY_S):
            return
        self._shown = time.monotonic()
        line = progress_line(self._name, progress)
        if self._live is None:
            print(line, flush=True)
        else:
            self._live.update(line)

    def close(self) -> None:
        """The last state, for good."""
        if self._last is not None:
            line = f"{progress_line(self._name, self._last)}, {self._last.seconds:.1f} s"
            print(line, flush=True) if self._live is None else self._live.update(line)


@contextmanager
def show_progress(name: str) -> Iterator[ProgressDisplay]:
    """A display for one stream."""
    console = Console()
    if not console.is_terminal:
        display = ProgressDisplay(name, None)
        try:
            yield display
        finally:
            display.close()
        return
    with Live(console=console, refresh_per_second=4) as live:
        display = ProgressDisplay(name, live)
        try:
            yield display
        finally:
            display.close()
