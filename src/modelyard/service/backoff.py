"""Longer and longer pauses between attempts that fail."""

import time

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0


class Backoff:
    """Says how long to wait after each failure: 1 s at first, then twice as long each time, up to 30 s."""

    def __init__(self) -> None:
        self._pause_s, self._until = FIRST_PAUSE_S, 0.0

    @property
    def is_over(self) -> bool:
        """Whether it is time for another attempt."""
        return time.monotonic() >= self._until

    def fail(self) -> float:
        """Begin a pause, and return its length in seconds."""
        pause_s = self._pause_s
        self._until = time.monotonic() + pause_s
        self._pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return pause_s

    def reset(self) -> None:
        """Allow an attempt now; the next pause is short again."""
        self._pause_s, self._until = FIRST_PAUSE_S, 0.0
