"""Hands what is to be recorded to a process of its own, so that no request waits for it."""

import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping

from modelyard.monitoring.tables.schema import ANSWER, SHADOW
from modelyard.monitoring.tables.writing import Values
from modelyard.service.recording.answered import Answered
from modelyard.service.recording.challengers import ChallengerSearch
from modelyard.service.recording.counters import FAILED, FULL, LABEL, LARGE, LOAD
from modelyard.service.recording.delivery.messages import Challengers, Drops, Message, find_challenger
from modelyard.service.recording.delivery.packing import Packed, pack_requests
from modelyard.service.recording.delivery.queues import Queue
from modelyard.service.recording.delivery.supervisor import Supervisor
from modelyard.service.recording.options import RecordingOptions

# Of answers that wait for the process: rows, and bytes of inputs and files.
MOST_ROWS, MOST_BYTES = 20_000, 128_000_000
MOST_LABELS = 1_000
# Many rows are handed over at once, and seldom: one by one they would cost several times as much, and hold up
# one request in a hundred.
TAKEN_ROWS, PAUSE_S = 512, 0.5
# Sending takes some milliseconds. Python lets a request wait for 5 ms of them before its threads take turns.
SWITCH_S = 0.0005
# How long a stop waits for a place that does not answer.
STOP_S = 10.0
# How long /readyz mentions rows that were dropped.
TOLD_S = 60.0
FULL_PROBLEM = "the record lacks rows: more came than can be recorded"
log = logging.getLogger(__name__)


class Recorder:
    """Lets a process record answers and labels; whoever offers them never waits.

    `offer` and `offer_label` are for the event loop; a thread sends what they were given. `environment` is
    what the process has beside that of this one; `challengers` finds the versions that answer beside the
    champions, if any do.
    """

    def __init__(
        self,
        options: RecordingOptions,
        environment: Mapping[str, str],
        challengers: ChallengerSearch | None = None,
    ) -> None:
        self._challengers = challengers
        self._supervisor = Supervisor(options, environment, self._lose)
        self._answers: Queue[Answered] = Queue(MOST_ROWS, MOST_BYTES)
        self._labels: Queue[tuple[str, Values]] = Queue(MOST_LABELS, MOST_BYTES)
        # Guards the rows that were not recorded, until the process is told.
        self._lock = threading.Lock()
        self._dropped = Drops()
        self._dropped_at = -TOLD_S
        # The process that was told of challengers, and these.
        self._told: tuple[int, Challengers] = (0, {})
        self._stopping = threading.Event()
        self._sender = threading.Thread(target=self._send_until_stop, name="record", daemon=True)

    def offer(self, answered: Answered) -> None:
        """Record a request's answers, or count them as dropped."""
        rows = len(answered.seen)
        if answered.dropped:
            self._drop(ANSWER, LARGE, answered.dropped)
        if rows and not self._answers.put(answered, rows, answered.size):
            self._drop(ANSWER, FULL, rows)
            if self._challengers is not None:
                self._drop(SHADOW, LOAD, rows)

    def offer_label(self, model: str, row: Values) -> bool:
        """Record a row of the table of labels; return False if there is no room for it."""
        return not self._supervisor.status.is_full and self._labels.put((model, row), 1, 0)

    def problems(self) -> list[str]:
        """Return what is wrong, one sentence each."""
        found = [problem] if (problem := self._supervisor.status.problem) else []
        if time.monotonic() - self._dropped_at < TOLD_S:
            found.append(FULL_PROBLEM)
        return found

    def start(self) -> None:
        """Begin to record."""
        sys.setswitchinterval(SWITCH_S)
        self._supervisor.start()
        self._sender.start()

    def stop(self) -> None:
        """Let the process write what is left, waiting at most 10 s for a place that does not answer."""
        ends_at = time.monotonic() + STOP_S
        self._supervisor.forbid_restarts()
        self._stopping.set()
        if self._sender.is_alive():
            self._sender.join(STOP_S)
        self._supervisor.stop(ends_at)

    def _drop(self, kind: str, reason: str, rows: int) -> None:
        self._dropped_at = time.monotonic()
        with self._lock:
            self._dropped[kind, reason] += rows

    def _lose(self, kind: str, rows: int) -> None:
        self._drop(kind, FAILED, rows)

    def _send_until_stop(self) -> None:
        while not self._stopping.wait(PAUSE_S):
            self._try(self._send_all)
        if self._answers.rows + self._labels.rows:
            # The last rows need a process, if it is just not there.
            self._supervisor.start_child()
        self._try(self._send_all)
        self._supervisor.end()

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # the thread must not end: nobody would notice
            log.exception("answers cannot be recorded")

    def _send_all(self) -> None:
        """Send what waits; what comes now waits for the next round. Without a process, all waits."""
        if not self._supervisor.is_running:
            return
        with self._lock:
            dropped, self._dropped = self._dropped, Drops()
        labels = tuple(self._labels.take(MOST_LABELS))
        challengers = self._challengers.found if self._challengers else {}
        if labels or dropped or (self._supervisor.number, challengers) != self._told:
            number = self._supervisor.number
            self._send(Message(labels, dropped, challengers))
            self._told = number, challengers
        left = self._answers.rows
        while self._supervisor.is_running and left > 0 and (requests := self._answers.take(TAKEN_ROWS)):
            rows = sum(len(request.seen) for request in requests)
            left -= rows
            try:
                packed = list(pack_requests(requests))
            except Exception:  # the thread must not end: nobody would notice
                log.exception("%s images cannot be recorded", rows)
                self._drop(ANSWER, FAILED, rows)
                continue
            for one in packed:
                if self._challengers is not None:
                    self._challengers.want(one.version.name)
                self._send(one)

    def _send(self, message: Message | Packed) -> None:
        rows = _count_kinds(message, self._told[1])
        if self._supervisor.send(message, rows):
            return
        # It ended just now.
        dropped = message.dropped if isinstance(message, Message) else None
        for (kind, reason), number in (dropped or {}).items():
            self._drop(kind, reason, number)
            rows[kind] -= number
        for kind, number in (+rows).items():
            self._lose(kind, number)


def _count_kinds(message: Message | Packed, challengers: Challengers) -> Counter[str]:
    """Count the rows that will come of a message, by their kinds."""
    if isinstance(message, Packed):
        has_shadow = find_challenger(message.version, challengers) is not None
        return +Counter({ANSWER: message.rows, SHADOW: message.rows if has_shadow else 0})
    kinds = Counter({LABEL: len(message.labels)})
    for (kind, _), rows in (message.dropped or {}).items():
        kinds[kind] += rows
    return +kinds
