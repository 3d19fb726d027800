"""The thread that records: it takes what requests leave, turns it into rows, and writes them."""

import logging
import threading
import time
from collections.abc import Iterator
from itertools import groupby, islice

from modelyard.monitoring.tables.places import Place
from modelyard.monitoring.tables.schema import ANSWERS, LABELS
from modelyard.monitoring.tables.writing import Values, warm_up
from modelyard.service.recording.answered import Answered
from modelyard.service.recording.counters import ANSWER, FAILED, FULL, LARGE, RecordingCounters
from modelyard.service.recording.images import Images
from modelyard.service.recording.pending import Pending
from modelyard.service.recording.queues import Queue
from modelyard.service.recording.rows import Row, make_rows

# Of answers that wait for this thread: rows, and bytes of inputs and files.
MOST_ROWS, MOST_BYTES = 20_000, 128_000_000
MOST_LABELS = 1_000
# Figures are measured for many rows at once. Rows are made in slices, so that other threads run in between.
TAKEN_ROWS, SLICE_ROWS = 512, 64
PAUSE_S, BREATH_S = 0.1, 0.0005
# How long pictures are written before it is the rows' turn again.
IMAGES_S = 0.25
# How long a stop waits for a place that does not answer.
STOP_S = 10.0
# How long /readyz mentions rows that were dropped.
TOLD_S = 60.0
FULL_PROBLEM = "the record lacks rows: they come faster than they can be written"
log = logging.getLogger(__name__)


class Recorder:
    """Records answers and labels in a thread of its own; whoever offers them never waits.

    `offer` and `offer_label` are for the event loop, `offer_shadow` for the thread of the shadow.
    """

    def __init__(self, place: Place, images_share: float, counters: RecordingCounters) -> None:
        self._counters = counters
        self._answers: Queue[Answered] = Queue(MOST_ROWS, MOST_BYTES)
        self._shadows: Queue[Answered] = Queue(MOST_ROWS, MOST_BYTES)
        self._labels: Queue[tuple[str, Values]] = Queue(MOST_LABELS, MOST_BYTES)
        self._pending = Pending(place, counters)
        self._images = Images(place, images_share, counters)
        self._dropped_at = -TOLD_S
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="record", daemon=True)

    def offer(self, answered: Answered) -> None:
        """Record a request's answers, or count them as dropped."""
        rows = len(answered.seen)
        if answered.dropped:
            self._drop(ANSWER, LARGE, answered.dropped)
        if rows and not self._answers.put(answered, rows, answered.size):
            self._drop(ANSWER, FULL, rows)

    def offer_shadow(self, answered: Answered) -> None:
        """Record what a shadow answered, or count it as dropped."""
        rows = len(answered.seen)
        if rows and not self._shadows.put(answered, rows, answered.size):
            self._drop(answered.role, FULL, rows)

    def offer_label(self, model: str, row: Values) -> bool:
        """Record a row of the table of labels; return False if there is no room for it."""
        return not self._pending.is_full and self._labels.put((model, row), 1, 0)

    def problems(self) -> list[str]:
        """Return what is wrong, one sentence each."""
        found = [self._pending.problem] if self._pending.problem else []
        if time.monotonic() - self._dropped_at < TOLD_S:
            found.append(FULL_PROBLEM)
        return found

    def start(self) -> None:
        """Begin to record."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is left, waiting at most 10 s for a place that does not answer."""
        self._stopping.set()
        self._thread.join(STOP_S)
        if self._thread.is_alive():
            log.warning("the record's place does not answer: its last rows are lost")

    def _drop(self, kind: str, reason: str, rows: int) -> None:
        self._dropped_at = time.monotonic()
        self._counters.count_dropped(kind, reason, rows)

    def _run(self) -> None:
        try:
            warm_up(ANSWERS)
        except Exception:  # each part logs it again, and is counted
            log.exception("no part can be made")
        while not self._stopping.wait(PAUSE_S):
            self._take_all()
            self._pending.write_due()
            self._write_images(time.monotonic() + IMAGES_S)
        self._take_all()
        self._pending.write_all()
        self._write_images(time.monotonic() + STOP_S / 2)
        self._images.drop_all()

    def _take_all(self) -> None:
        while labels := self._labels.take(MOST_LABELS):
            for model, row in labels:
                self._pending.add(LABELS, model, [row])
        for queue in (self._answers, self._shadows):
            # Rows that come now wait for the next round: one by one they would cost several times as much.
            left = queue.rows
            while left > 0 and (requests := queue.take(TAKEN_ROWS)):
                left -= sum(len(request.seen) for request in requests)
                made = self._make_rows(requests)
                while rows := list(islice(made, SLICE_ROWS)):
                    self._add(rows)
                    # A thread that keeps computing holds the interpreter for up to 5 ms while others wait.
                    time.sleep(BREATH_S)
                    if self._pending.has_full_part:
                        self._pending.write_due()

    def _make_rows(self, requests: list[Answered]) -> Iterator[Row]:
        left = sum(len(request.seen) for request in requests)
        try:
            for row in make_rows(requests):
                left -= 1
                yield row
        except Exception:  # the thread must not end: nobody would notice
            log.exception("%s images cannot be recorded", left)
            self._drop(requests[0].role, FAILED, left)

    def _add(self, rows: list[Row]) -> None:
        for model, found in groupby(rows, lambda row: row.model):
            some = list(found)
            self._pending.add(ANSWERS, model, [row.values for row in some])
            for row in some:
                self._images.add(row)
        self._count(rows)

    def _count(self, rows: list[Row]) -> None:
        """Count first labels and scores for /metrics; those of a shadow are in the table alone."""
        given = [(row.model, *row.values) for row in rows if row.values[4] == ANSWER]
        for (model, version), some in groupby(given, lambda one: (one[0], one[4])):
            self._counters.count_answers(model, version, [(one[6], one[7]) for one in some])

    def _write_images(self, until: float) -> None:
        while time.monotonic() < until and self._images.write_one():
            pass
