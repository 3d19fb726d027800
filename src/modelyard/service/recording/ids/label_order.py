"""The order of an image's labels: the latest counts, and a clock may jump back between two of them."""

import time
from datetime import timedelta

from modelyard.monitoring.tables.reading import CLOCK_TOLERANCE

MOST_REMEMBERED = 10_000
# After a longer jump back, the label before has a time so far ahead that readers of the table skip it.
_MOST_BACK_US = CLOCK_TOLERANCE // timedelta(microseconds=1)


class LabelOrder:
    """Gives each label a time after that of the same image's label before.

    The latest 10,000 labelled images of this process are remembered. For the event loop alone.
    """

    def __init__(self) -> None:
        self._latest: dict[tuple[str, int], int] = {}

    def choose(self, request_id: str, index: int) -> int:
        """Return the time of a label that came now, in microseconds since 1970."""
        key = request_id, index
        now, before = time.time_ns() // 1000, self._latest.pop(key, 0)
        chosen = self._latest[key] = before + 1 if now <= before <= now + _MOST_BACK_US else now
        if len(self._latest) > MOST_REMEMBERED:
            del self._latest[next(iter(self._latest))]
        return chosen
