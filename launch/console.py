"""Lines for whoever watches a run."""

SHORT = 100
"""Characters of a message that is repeated whole."""
_errors: list[str] = []


def say(line: str) -> None:
    """A line for whoever watches, at once."""
    print(line, flush=True)


def say_error(message: str) -> None:
    """Says what failed, as it happens."""
    say(f"error: {message}")
    if len(message) > SHORT and message not in _errors:
        _errors.append(message)


def without_said(text: str) -> str:
    """The text with long messages that this process has said already cut short: one failure is told once in full."""
    for message in _errors:
        text = text.replace(message, f"{message[:SHORT].rstrip()}… (in full above)")
    return text
