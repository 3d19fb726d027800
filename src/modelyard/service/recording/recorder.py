"""Hands what is to be recorded to a process of its own, so that no request waits for it."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping

from modelyard.monitoring.tables.writing import Values
from modelyard.service.recording.answered import Answered
from modelyard.service.recording.batches import make_batches
from modelyard.service.recording.challengers import ChallengerSearch
from modelyard.service.recording.child import Child
from modelyard.service.recording.counters import ANSWER, FAILED, FULL, LABEL, LARGE, LOAD, SHADOW
from modelyard.service.recording.messages import Batch, Challengers, Drops, Message, Status
from modelyard.service.recording.options import RecordingOptions
from modelyard.service.recording.queues import Queue

# Of answers that wait for the process: rows, and bytes of inputs and files.
MOST_ROWS, MOST_BYTES = 20_000, 128_000_000
MOST_LABELS = 1_000
# Many rows are handed over at once, and seldom: one by one they would cost several times as much, and hold up
# one request in a hundred.
TAKEN_ROWS, PAUSE_S = 512, 0.5
# A process that ended is started again, after longer and longer pauses.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
# How long a stop waits for a place that does not answer.
STOP_S = 10.0
# How long /readyz mentions rows that were dropped.
TOLD_S = 60.0
FULL_PROBLEM = "the record lacks rows: more came than can be recorded"
ENDED_PROBLEM = "the process that records does not run, and is started again; answers are not affected"
log = logging.getLogger(__name__)


class Recorder:
    """Lets a process record answers and labels; whoever offers them never waits.

    `offer` and `offer_label` are for the event loop. Two threads work: one sends, the other one reads what
    the process tells, and starts it again if it ends.

    Args:
        options: what is recorded, and where.
        environment: for the process, beside that of this one.
        challengers: finds the versions that answer beside the champions, if any do.
    """

    def __init__(
        self,
        options: RecordingOptions,
        environment: Mapping[str, str],
        challengers: ChallengerSearch | None = None,
    ) -> None:
        self._options, self._environment, self._challengers = options, environment, challengers
        self._answers: Queue[Answered] = Queue(MOST_ROWS, MOST_BYTES)
        self._labels: Queue[tuple[str, Values]] = Queue(MOST_LABELS, MOST_BYTES)
        self._dropped_at = -TOLD_S
        self._status = Status()
        # Guards what follows, for moments.
        self._lock = threading.Lock()
        self._dropped = Drops()
        self._child: Child | None = None
        # Rows that were sent to this process, by their kinds.
        self._sent: Counter[str] = Counter()
        self._told_challengers: Challengers = {}
        # Held while a process is started.
        self._starting = threading.Lock()
        self._ended = False
        self._stopping = threading.Event()
        self._sender = threading.Thread(target=self._send_until_stop, name="record", daemon=True)
        self._watcher = threading.Thread(target=self._watch, name="recorder", daemon=True)

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
        return not self._status.is_full and self._labels.put((model, row), 1, 0)

    def problems(self) -> list[str]:
        """Return what is wrong, one sentence each."""
        found = [self._status.problem] if self._status.problem else []
        if time.monotonic() - self._dropped_at < TOLD_S:
            found.append(FULL_PROBLEM)
        return found

    def start(self) -> None:
        """Begin to record."""
        self._start_child()
        self._sender.start()
        self._watcher.start()

    def stop(self) -> None:
        """Let the process write what is left, waiting at most 10 s for a place that does not answer."""
        ends_at = time.monotonic() + STOP_S
        self._stopping.set()
        if self._sender.is_alive():
            self._sender.join(STOP_S)
        child = self._child
        if child is not None and (code := child.wait(max(0.0, ends_at - time.monotonic()))) != 0:
            if code is None:
                child.kill()
            happened = "does not end: does its place answer?" if code is None else f"ended (exit code {code})"
            log.warning("the last rows are lost, since the process that records %s", happened)
        if self._watcher.is_alive():
            self._watcher.join(1.0)

    def _drop(self, kind: str, reason: str, rows: int) -> None:
        self._dropped_at = time.monotonic()
        with self._lock:
            self._dropped[kind, reason] += rows

    def _send_until_stop(self) -> None:
        while not self._stopping.wait(PAUSE_S):
            self._try(self._send_all)
        if self._answers.rows + self._labels.rows:
            # The last rows need a process, if it is just not there.
            self._start_child()
        self._try(self._send_all)
        with self._starting:
            self._ended = True
            if self._child is not None:
                self._child.end()

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # the thread must not end: nobody would notice
            log.exception("answers cannot be recorded")

    def _send_all(self) -> None:
        """Send what waits; what comes now waits for the next round. Without a process, all waits."""
        if self._child is None:
            return
        with self._lock:
            dropped, self._dropped = self._dropped, Drops()
        labels = tuple(self._labels.take(MOST_LABELS))
        challengers = self._challengers.found if self._challengers else {}
        if labels or dropped or challengers != self._told_challengers:
            self._send(Message(None, labels, dropped, challengers))
        left = self._answers.rows
        while self._child and left > 0 and (requests := self._answers.take(TAKEN_ROWS)):
            rows = sum(len(request.seen) for request in requests)
            left -= rows
            try:
                batches = list(make_batches(requests))
            except Exception:  # the thread must not end: nobody would notice
                log.exception("%s images cannot be recorded", rows)
                self._drop(ANSWER, FAILED, rows)
                continue
            for batch in batches:
                if self._challengers is not None:
                    self._challengers.want(batch.version.name)
                self._send(Message(batch))

    def _send(self, message: Message) -> None:
        with self._lock:
            child = self._child
            if child is not None:
                self._sent += _count_kinds(message, self._told_challengers)
        if child is None:
            # It ended just now.
            self._lose(message)
            return
        try:
            child.send(message)
        except OSError:
            # It has ended: whoever reads from it counts what is lost.
            return
        with self._lock:
            if message.challengers is not None and self._child is child:
                self._told_challengers = message.challengers

    def _lose(self, message: Message) -> None:
        """Count rows that cannot be sent."""
        for (kind, reason), rows in (message.dropped or {}).items():
            self._drop(kind, reason, rows)
        for kind, rows in _count_kinds(message._replace(dropped=None), self._told_challengers).items():
            self._drop(kind, FAILED, rows)

    def _watch(self) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            if (child := self._child) is not None:
                for status in child.read():
                    self._status, pause_s = status, FIRST_PAUSE_S
                code = child.wait(STOP_S)
                if self._stopping.is_set():
                    return
                self._bury(child, code)
            if self._stopping.wait(pause_s):
                return
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            self._start_child()

    def _bury(self, child: Child, code: int | None) -> None:
        """Count what a process took with it."""
        if code is None:
            child.kill()
        with self._lock:
            lost = self._sent - Counter(self._status.settled)
            self._child, self._sent, self._told_challengers = None, Counter(), {}
            self._status = Status(ENDED_PROBLEM)
        log.warning("the process that records ended (exit code %s), and is started again", code)
        for kind, rows in lost.items():
            self._drop(kind, FAILED, rows)

    def _start_child(self) -> None:
        """Start a process, unless there is one, or no more rows will come."""
        with self._starting:
            if self._child is not None or self._ended:
                return
            try:
                child = Child(self._options, self._environment)
            except OSError as error:
                log.warning("no process can be started to record: %s", error)
                self._status = Status(ENDED_PROBLEM)
                return
            with self._lock:
                self._child = child


def _count_kinds(message: Message, challengers: Challengers) -> Counter[str]:
    """Count the rows that will come of a message, by their kinds."""
    kinds = Counter({LABEL: len(message.labels)})
    for (kind, _), rows in (message.dropped or {}).items():
        kinds[kind] += rows
    if message.batch is not None:
        rows = len(message.batch.images)
        kinds[ANSWER] += rows
        kinds[SHADOW] += rows if _has_shadow(message.batch, challengers) else 0
    return +kinds


def _has_shadow(batch: Batch, challengers: Challengers) -> bool:
    challenger = challengers.get(batch.version.name)
    return challenger is not None and challenger.champion == batch.version.number
