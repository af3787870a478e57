"""Standard output and standard error in any encoding: no character stops a command.

What people read follows the locale's encoding. Data that a program reads (CSV, JSON, LaTeX, …) are UTF-8 whatever the locale says.
"""

import codecs
import io
import sys
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


def _readable(error: UnicodeError) -> tuple[str | bytes, int]:
    """What replaces the first character that can't be encoded, and where encoding goes on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if "\udc80" <= character <= "\udcff":  # a byte of a file name that the locale can't read
        return bytes([ord(character) - 0xDC00]), error.start + 1
    return _SIGNS.get(character) or character.encode("ascii", "backslashreplace").decode(), error.start + 1
