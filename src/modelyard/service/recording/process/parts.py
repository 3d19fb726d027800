"""Rows that wait to be written: a part each minute, or when there are enough rows."""

import logging
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from modelyard.monitoring.tables.places import Place
from modelyard.monitoring.tables.schema import ANSWERS, Table
from modelyard.monitoring.tables.writing import Values, find_day, name_part, write_part
from modelyard.service.backoff import Backoff
from modelyard.service.recording.counters import FAILED, LABEL, PLACE, RecordingCounters

PART_ROWS, PART_S = 5_000, 60.0
# While a place cannot be written, rows of some 25 MB are kept.
MOST_ROWS = 20_000
# The place of the role in a row of answers; counters call it the kind.
_ROLE = list(ANSWERS.columns).index("role")
log = logging.getLogger(__name__)


@dataclass
class _Waiting:
    """Rows of one table, model and day.

    Attributes:
        since: when the first of them came (monotonic, in s).
        rows: the oldest first.
        name: of their next part, until that is written.
    """

    table: Table
    model: str
    since: float = field(default_factory=time.monotonic)
    rows: list[Values] = field(default_factory=list)
    name: str = field(default_factory=name_part)


class Parts:
    """Parts in the making, and the rows that wait for them; used by one thread.

    A part that cannot be written is tried again later, with longer and longer pauses. Meanwhile up to
    MOST_ROWS rows stay; further ones are dropped and counted.
    """

    def __init__(self, place: Place, counters: RecordingCounters) -> None:
        self._place, self._counters = place, counters
        self._waiting: dict[tuple[str, str, int], _Waiting] = {}
        self._backoff = Backoff()
        # Why nothing can be written, in words of our own; "" while all is well.
        self.problem = ""
        self.count = 0

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another row."""
        return self.count >= MOST_ROWS

    def add(self, table: Table, model: str, rows: Sequence[Values]) -> None:
        """Add rows of a table, as many as there is room for."""
        fitting, others = rows[: MOST_ROWS - self.count], rows[MOST_ROWS - self.count :]
        self._drop(table, others, PLACE)
        for row in fitting:
            key = (table.name, model, find_day(row))
            waiting = self._waiting.get(key)
            if waiting is None:
                waiting = self._waiting[key] = _Waiting(table, model)
            waiting.rows.append(row)
        self.count += len(fitting)

    def write_due(self) -> None:
        """Write each part that is full or has waited long enough, unless a failure was too recent."""
        now = time.monotonic()
        for waiting in list(self._waiting.values()):
            if not self._backoff.is_over:
                break
            if len(waiting.rows) >= PART_ROWS or now - waiting.since >= PART_S:
                self._write(waiting)
        self._forget_written()

    def write_all(self) -> None:
        """Write all rows; those that cannot be written are dropped."""
        for waiting in self._waiting.values():
            while waiting.rows and self._write(waiting):
                pass
            self._drop(waiting.table, waiting.rows, PLACE)
            self.count -= len(waiting.rows)
            waiting.rows.clear()
        self._forget_written()

    def _write(self, waiting: _Waiting) -> bool:
        """Write a part of the oldest rows; return whether that went well."""
        part = waiting.rows[:PART_ROWS]
        try:
            write_part(self._place, waiting.table, waiting.model, part, waiting.name)
        except OSError as error:
            self._tell(error)
            self._backoff.fail()
            return False
        except Exception:  # whatever is wrong with these rows, later ones are recorded
            log.exception("%s rows of %s cannot be made a part", len(part), waiting.model)
            self._drop(waiting.table, part, FAILED)
        else:
            self._count(waiting.table, part)
            self.problem = ""
            self._backoff.reset()
        del waiting.rows[: len(part)]
        self.count -= len(part)
        waiting.since, waiting.name = time.monotonic(), name_part()
        return True

    def _forget_written(self) -> None:
        self._waiting = {key: waiting for key, waiting in self._waiting.items() if waiting.rows}

    def _tell(self, error: OSError) -> None:
        why = os.strerror(error.errno) if error.errno else "the log says more"
        problem = f"the record cannot be written ({why}); answers are not affected"
        if problem != self.problem:
            log.warning("the record at %s cannot be written: %s", self._place.name, error)
        self.problem = problem

    def _count(self, table: Table, rows: Sequence[Values]) -> None:
        for kind, number in _count_kinds(table, rows).items():
            self._counters.count_recorded(kind, number)

    def _drop(self, table: Table, rows: Sequence[Values], reason: str) -> None:
        for kind, number in _count_kinds(table, rows).items():
            self._counters.count_dropped(kind, reason, number)


def _count_kinds(table: Table, rows: Sequence[Values]) -> Counter[str]:
    return Counter(row[_ROLE] if table == ANSWERS else LABEL for row in rows)
