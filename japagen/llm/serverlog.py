"""The end of a server's log, as it goes into an error message."""

import re
from pathlib import Path

NUM_LINES = 15
_TAIL_BYTES = 200_000
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_PREFIX = re.compile(r"^(?:\([^()]*pid=\d+\)\s*)?(?:(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d [\d:]+ (?:\[[^\]]*\] )?)?")
"""(EngineCore pid=12) ERROR 11-21 03:54:29 [core.py:1234] """
_NOISE = re.compile(
    r"Traceback \(most recent call last\):|\s*File \"|\s{4}|During handling of|The above exception was"
    r"|.*DeprecationWarning: |  warnings\.warn\(|Route: |.*[█▄▀]"
)
"""A traceback's frames are indented by two (file) and four (code); the details of a pydantic error by two."""
_ADDRESS_IN_USE = re.compile(r"EADDRINUSE|address already in use", re.IGNORECASE)
_OUT_OF_MEMORY = re.compile(r"out of memory|OutOfMemoryError|less than desired GPU memory|No available memory for the cache blocks")


def read_end(path: Path, start: int = 0) -> str:
    """The log's last 200,000 bytes, at most from byte `start` on; '' where there is no log."""
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(start, file.tell() - _TAIL_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def last_lines(text: str, count: int = NUM_LINES) -> list[str]:
    """The last `count` lines that say something.

    Left out are blank lines, tracebacks' frames (the engine's error, which is the cause, comes before the API server's
    long traceback), routes, bars that were drawn over, and what only repeats the line before.
    """
    lines: list[str] = []
    for raw in _COLOURS.sub("", text).split("\n"):
        content = raw.rstrip("\r").rpartition("\r")[2]
        message = content[_prefix_length(content) :]
        if not message.strip() or _NOISE.match(message):
            continue
        if not lines or lines[-1] != content.rstrip():
            lines.append(content.rstrip()[:300])
    return lines[-count:]


def _prefix_length(line: str) -> int:
    match = _PREFIX.match(line)
    return match.end() if match else 0


def names_taken_address(text: str) -> bool:
    """Whether the server failed to bind a port."""
    return bool(_ADDRESS_IN_USE.search(text))


def advice(text: str) -> str:
    """What to do about a cause that we know, or ''."""
    if _OUT_OF_MEMORY.search(text):
        return (
            "\nThe GPU's memory did not suffice: look for processes left on it (nvidia-smi), or lower llm.max_model_len or"
            " llm.server.gpu_memory_utilization, or raise llm.gpus"
        )
    return ""
