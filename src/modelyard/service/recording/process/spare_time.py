"""How much of the machine's processors nobody needs."""

import os
import time
from pathlib import Path

from modelyard.inference.runtime.processors import count_processors

# Linux counts what all processors did, in ticks.
COUNTS = Path("/proc/stat")
# A look back over less says little.
LEAST_S = 0.2


class SpareTime:
    """The share of all processors' time, 0..1, that was idle or given to work of a low priority.

    On systems without Linux's counts, it is estimated from the load of the last minute.
    """

    def __init__(self) -> None:
        self._looked_at, self._counts = time.monotonic(), _read_counts()
        self._share = 0.0

    def share(self) -> float:
        """Return the share since the last look, which is at least 0.2 s ago."""
        now = time.monotonic()
        if now - self._looked_at >= LEAST_S:
            before, self._counts, self._looked_at = self._counts, _read_counts(), now
            self._share = _compare(before, self._counts)
        return self._share


def _compare(before: list[int], after: list[int]) -> float:
    if not after:
        return max(0.0, 1 - os.getloadavg()[0] / count_processors())
    spent = [later - earlier for earlier, later in zip(before, after, strict=True)]
    # user, nice, system, idle, iowait, irq, softirq, steal
    return (spent[1] + spent[3] + spent[4]) / max(1, sum(spent[:8]))


def _read_counts() -> list[int]:
    try:
        return [int(count) for count in COUNTS.read_text().split("\n", 1)[0].split()[1:]]
    except OSError:
        return []
