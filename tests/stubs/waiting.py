"""Waiting for a state, with a bound."""

import time
from collections.abc import Callable


def eventually(condition: Callable[[], bool], timeout_s: float = 20.0, every_s: float = 0.02) -> bool:
    """Whether `condition` came true within `timeout_s`; looks that are programs of their own are best not taken too often."""
    give_up_at = time.monotonic() + timeout_s
    while time.monotonic() < give_up_at:
        if condition():
            return True
        time.sleep(every_s)
    return condition()
