"""Records what the service tells: it makes rows, and writes them and the pictures."""

import contextlib
import logging
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from modelyard.monitoring.tables.places import open_place
from modelyard.monitoring.tables.schema import ANSWER, ANSWERS, LABELS
from modelyard.monitoring.tables.writing import warm_up
from modelyard.service.recording.counters import FAILED, RecordingCounters
from modelyard.service.recording.delivery.messages import END, Batch, Message, Status, read
from modelyard.service.recording.options import RecordingOptions
from modelyard.service.recording.process.images import Images
from modelyard.service.recording.process.parts import Parts
from modelyard.service.recording.process.rows import Row, make_rows

if TYPE_CHECKING:
    from modelyard.service.recording.process.shadow import Shadow

# How long it waits for the service at a time, and how long it listens before parts and pictures have a turn.
PAUSE_S, LISTENING_S = 0.1, 0.25
# How long pictures are written before it is the rows' turn again, and at the stop.
IMAGES_S, LAST_IMAGES_S = 0.25, 4.0
_LABEL, _SCORE = (list(ANSWERS.columns).index(name) for name in ("label", "score"))
log = logging.getLogger(__name__)


class Writer:
    """Writes tables and pictures until the service closes its pipe.

    `tell` is called with a `Status` whenever that changes. `counters` count rows and pictures; None stands
    for those of this process.
    """

    def __init__(
        self,
        options: RecordingOptions,
        tell: Callable[[Status], None],
        counters: RecordingCounters | None = None,
    ) -> None:
        self._tell = tell
        self._counters = counters or RecordingCounters(CollectorRegistry())
        place = open_place(options.place)
        self._parts = Parts(place, self._counters)
        self._images = Images(place, options.images, self._counters)
        self._shadow = _start_shadow(self._counters) if options.shadow else None
        self._told: Status | None = None
        self._was_ended = False

    def run(self, given: Connection) -> bool:
        """Record all messages that come; return whether the service ended in order, or was killed."""
        try:
            warm_up(ANSWERS)
        except Exception:  # each part logs it again, and is counted
            log.exception("no part can be made")
        while self._listen(given):
            self._take_shadow()
            self._parts.write_due()
            self._report()
            self._images.write_until(time.monotonic() + IMAGES_S)
            self._report()
        # Before a shadow may take its time.
        self._parts.write_all()
        if self._shadow is not None:
            self._shadow.stop()
            self._take_shadow()
            self._parts.write_all()
        self._images.write_last(time.monotonic() + LAST_IMAGES_S)
        self._report()
        return self._was_ended

    def _listen(self, given: Connection) -> bool:
        """Take the messages that are there; return False after the last one."""
        until, patience_s = time.monotonic() + LISTENING_S, PAUSE_S
        while time.monotonic() < until:
            try:
                if not given.poll(patience_s):
                    break
                message = read(given)
            except (EOFError, OSError):
                # A service that was killed may have left half a message.
                return False
            if isinstance(message, Batch):
                self._take_answers(message)
            elif message == END:
                self._was_ended = True
                return False
            else:
                self._take(message)
            patience_s = 0.0
        return True

    def _take(self, message: Message) -> None:
        for (kind, reason), number in (message.dropped or {}).items():
            self._counters.count_dropped(kind, reason, number)
        for model, row in message.labels:
            self._parts.add(LABELS, model, [row])
        if self._shadow is not None and message.challengers is not None:
            self._shadow.challengers = message.challengers

    def _take_answers(self, batch: Batch) -> None:
        self._record(batch)
        if self._shadow is not None:
            self._shadow.offer(batch)

    def _take_shadow(self) -> None:
        for batch in self._shadow.take() if self._shadow is not None else ():
            self._record(batch)

    def _record(self, batch: Batch) -> None:
        try:
            rows = make_rows(batch)
        except Exception:  # the next ones are recorded
            log.exception("%s images cannot be recorded", len(batch.images))
            self._counters.count_dropped(batch.role, FAILED, len(batch.images))
            return
        self._parts.add(ANSWERS, batch.version.name, [row.values for row in rows])
        self._parts.write_due()
        # Else a part that is written would be counted as lost, if this process is killed.
        self._report()
        if batch.role == ANSWER:
            for row in rows:
                self._images.add(row)
            self._count(batch, rows)

    def _count(self, batch: Batch, rows: list[Row]) -> None:
        """Count first labels and scores for /metrics; those of a shadow are in the table alone."""
        best = [row.values[_LABEL : _SCORE + 1] for row in rows]
        self._counters.count_answers(batch.version.name, str(batch.version.number), best)

    def _report(self) -> None:
        status = Status(self._parts.problem, self._parts.is_full, self._counters.settled)
        if status != self._told:
            self._told = status
            # Without its service, this process still writes what it has.
            with contextlib.suppress(OSError):
                self._tell(status)


def _start_shadow(counters: RecordingCounters) -> "Shadow":
    # LiteRT is needed for a shadow alone.
    from modelyard.service.recording.process.shadow import Shadow
    from modelyard.service.recording.process.spare_time import SpareTime

    shadow = Shadow(counters, SpareTime().share)
    shadow.start()
    return shadow
