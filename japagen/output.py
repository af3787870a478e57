"""Standard output and standard error in any encoding: no character stops a command; and how lists and durations are worded.

What people read follows the locale's encoding. Data that a program reads (CSV, JSON, LaTeX, …) are UTF-8 whatever the locale says.
"""

import codecs
import io
import sys
from collections.abc import Sequence
from typing import TextIO

_READABLE = "japagen.readable"
_SIGNS = {"–": "-", "…": "...", "±": "+-", "×": "x", "≤": "<=", "≥": ">=", "→": "->", "†": "+", "‡": "#"}
"""Signs of our own messages and tables, for encodings that lack them."""


def accept_all_characters(encoding: str | None = None) -> None:
    """Has both streams write what their encoding lacks as ASCII signs or `\\u` escapes; `encoding`: in place of the locale's."""
    codecs.register_error(_READABLE, _readable)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=encoding, errors=_READABLE)


def data_output() -> TextIO:
    """Standard output for data: in UTF-8, with half a character (a lone surrogate) as the `\\ud83d` that JSON writes."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    return sys.stdout


def shorten(names: Sequence[str], most: int = 8) -> str:
    """'a, b, c and 5 more'."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def format_duration(seconds: float) -> str:
    """'45 s', '12 min', '3.5 h', '2.1 days'."""
    for most, per, unit in ((90, 1, "s"), (5400, 60, "min")):
        if seconds < most:
            return f"{seconds / per:.0f} {unit}"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def _readable(error: UnicodeError) -> tuple[str | bytes, int]:
    """What replaces the first character that can't be encoded, and where encoding goes on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if "\udc80" <= character <= "\udcff":  # a byte of a file name that the locale can't read
        return bytes([ord(character) - 0xDC00]), error.start + 1
    return _SIGNS.get(character) or character.encode("ascii", "backslashreplace").decode(), error.start + 1
