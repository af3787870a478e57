"""Waiting for a state, with a bound."""

import time
from collections.abc import Callable


def eventually(condition: Callable[[], bool], timeout_s: float = 20.0) -> bool:
    """Whether `condition` came true within `timeout_s`."""
    give_up_at = time.monotonic() + timeout_s
    while time.monotonic() < give_up_at:
        if condition():
            return True
        time.sleep(0.02)
    return condition()
