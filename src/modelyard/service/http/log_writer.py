"""One line of JSON for every request, written by a thread, so that no request waits for a full pipe."""

import threading
from collections import deque
from typing import Any

import orjson

_MOST_WAITING = 10_000
_PAUSE_S = 0.1


class AccessLog:
    """Writes lines to stdout, ten times a second, in a thread of its own.

    If the reader of the log stalls, the oldest lines are dropped; the next line says how many.
    """

    def __init__(self) -> None:
        # Unbuffered: a thread that hangs in a full pipe must hold no lock when the process ends.
        self._stream = open(1, "wb", buffering=0, closefd=False)  # noqa: SIM115
        self._waiting: deque[bytes] = deque(maxlen=_MOST_WAITING)
        self._dropped = 0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def write(self, fields: dict[str, Any]) -> None:
        """Queue a line; call it only from the event loop's thread."""
        if len(self._waiting) == _MOST_WAITING:
            self._dropped += 1
        if self._dropped:
            fields["lines_dropped_before"] = self._dropped
            self._dropped = self._dropped if len(self._waiting) == _MOST_WAITING else 0
        self._waiting.append(orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE))

    def start(self) -> None:
        """Begin to write."""
        self._stopping.clear()
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what is left, waiting at most a second."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(1)

    def _run(self) -> None:
        while not self._stopping.wait(_PAUSE_S):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not lines:
            return
        try:
            self._stream.write(b"".join(lines))
            self._stream.flush()
        except (OSError, ValueError):
            # Nobody reads the log any more; requests are still answered.
            self._dropped += len(lines)
