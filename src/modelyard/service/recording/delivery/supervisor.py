"""Keeps a process that records running, and counts what is lost with one that ended."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping

from modelyard.service.backoff import Backoff
from modelyard.service.recording.delivery.child import Child
from modelyard.service.recording.delivery.messages import Message, Status
from modelyard.service.recording.delivery.packing import Packed
from modelyard.service.recording.options import RecordingOptions

# How long a process that closed its pipe may take to end.
END_S = 10.0
ENDED_PROBLEM = "the process that records does not run, and is started again; answers are not affected"
log = logging.getLogger(__name__)


class Supervisor:
    """Starts the process, in a thread reads what it tells, and starts another one if it ends.

    `send` and `end` are for one thread. `environment` is what the process has beside that of this one; `lose`
    is called with a kind and a number of rows that were lost with a process.
    """

    def __init__(
        self, options: RecordingOptions, environment: Mapping[str, str], lose: Callable[[str, int], None]
    ) -> None:
        self._options, self._environment, self._lose = options, environment, lose
        self.status = Status()
        # How many processes there were; a new one knows nothing of what was sent before.
        self.number = 0
        # Guards the process, and the rows that were sent to it by their kinds.
        self._lock = threading.Lock()
        self._child: Child | None = None
        self._sent: Counter[str] = Counter()
        # Held while a process is started.
        self._starting = threading.Lock()
        self._ended = False
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="recorder", daemon=True)

    @property
    def is_running(self) -> bool:
        """Whether there is a process; one that has just ended may still seem to be there."""
        return self._child is not None

    def start(self) -> None:
        """Start the process, and watch it."""
        self.start_child()
        self._watcher.start()

    def start_child(self) -> None:
        """Start a process, unless there is one, or no more rows will come."""
        with self._starting:
            if self._child is not None or self._ended:
                return
            try:
                child = Child(self._options, self._environment)
            except OSError as error:
                log.warning("no process can be started to record: %s", error)
                self.status = Status(ENDED_PROBLEM)
                return
            with self._lock:
                self._child, self.number = child, self.number + 1

    def send(self, message: Message | Packed, rows: Counter[str]) -> bool:
        """Send a message, or answers, of so many rows by their kinds; return False if there is no process."""
        with self._lock:
            child = self._child
            if child is None:
                return False
            self._sent += rows
        try:
            child.send(message)
        except OSError:
            # It has ended: `_bury` counts what is lost.
            log.debug("a message came after the end of the process that records")
        return True

    def end(self) -> None:
        """Let the process end once it has written all that was sent; no other one is started."""
        with self._starting:
            self._ended = True
            if self._child is not None:
                self._child.end()

    def forbid_restarts(self) -> None:
        """Let a process that ends from now on stay away: the service stops."""
        self._stopping.set()

    def stop(self, ends_at: float) -> None:
        """Wait for the process until a time (monotonic, in s), then end it."""
        child = self._child
        if child is not None and (code := child.wait(max(0.0, ends_at - time.monotonic()))) != 0:
            if code is None:
                child.kill()
            happened = "does not end: does its place answer?" if code is None else f"ended (exit code {code})"
            log.warning("the last rows are lost, since the process that records %s", happened)
        if self._watcher.is_alive():
            self._watcher.join(1.0)

    def _watch(self) -> None:
        backoff = Backoff()
        while True:
            if (child := self._child) is not None:
                for status in child.read():
                    self.status = status
                    backoff.reset()
                code = child.wait(END_S)
                if self._stopping.is_set():
                    return
                self._bury(child, code)
            if self._stopping.wait(backoff.fail()):
                return
            self.start_child()

    def _bury(self, child: Child, code: int | None) -> None:
        """Count what a process took with it."""
        if code is None:
            child.kill()
        with self._lock:
            lost = self._sent - Counter(self.status.settled)
            self._child, self._sent = None, Counter()
            self.status = Status(ENDED_PROBLEM)
        log.warning("the process that records ended (exit code %s), and is started again", code)
        for kind, rows in lost.items():
            self._lose(kind, rows)
