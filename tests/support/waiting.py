"""Waiting for what another thread or process does."""

import time
from collections.abc import Callable


def wait_until(holds: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until something holds; fail after some seconds."""
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError(f"it did not come true within {seconds:g} seconds")
