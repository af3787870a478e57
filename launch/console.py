"""Lines for whoever watches a run."""


def say(line: str) -> None:
    """A line for whoever watches, at once."""
    print(line, flush=True)
