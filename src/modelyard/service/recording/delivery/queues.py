"""A bounded queue between two threads; neither waits for the other."""

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Queue(Generic[T]):
    """One thread puts, another takes, and no lock makes either wait; both limits are of what is waiting."""

    def __init__(self, most_rows: int, most_bytes: int) -> None:
        self._most_rows, self._most_bytes = most_rows, most_bytes
        self._items: deque[tuple[T, int, int]] = deque()
        # Each sum is written by one of the threads only.
        self._put_rows = self._put_bytes = self._taken_rows = self._taken_bytes = 0

    @property
    def rows(self) -> int:
        """How many rows wait; for either thread, as it was a moment ago."""
        return self._put_rows - self._taken_rows

    def put(self, item: T, rows: int, size: int) -> bool:
        """Add an item with its numbers of rows and bytes; return False if there is no room for it."""
        put_rows, put_bytes = self._put_rows + rows, self._put_bytes + size
        if put_rows - self._taken_rows > self._most_rows or put_bytes - self._taken_bytes > self._most_bytes:
            return False
        self._items.append((item, rows, size))
        self._put_rows, self._put_bytes = put_rows, put_bytes
        return True

    def take(self, most_rows: int) -> list[T]:
        """Return the oldest items, up to `most_rows` rows of them, but at least one where there is one."""
        taken: list[T] = []
        rows = 0
        while self._items and (not taken or rows + self._items[0][1] <= most_rows):
            item, more_rows, size = self._items.popleft()
            taken.append(item)
            rows += more_rows
            self._taken_rows += more_rows
            self._taken_bytes += size
        return taken
