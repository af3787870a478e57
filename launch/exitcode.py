"""The exit code of run.py where nothing failed: 0, or 3. Hydra hands nothing back from a sweep, so it is kept here until the end."""

ROWS_FAILED = 3
"""Everything is done, but some of the rows that an LLM was asked for failed for good."""

_code = 0


def note_failed_rows() -> None:
    """Notes that rows failed in one of the process's sweeps: a search is several."""
    global _code
    _code = ROWS_FAILED


def exit_code() -> int:
    """What was noted."""
    return _code
