"""One line of JSON for every request, written beside the requests so that none waits for a full pipe."""

import threading
from collections import deque
from typing import Any, BinaryIO

import orjson

_MOST_WAITING = 10_000
_PAUSE_S = 0.1


class AccessLog:
    """Takes lines, and writes them ten times a second in a thread of its own.

    Where the reader of the log stands still, the oldest lines are dropped; the next line that is written says
    how many.

    Args:
        stream: binary; stdout unless told otherwise.
    """

    def __init__(self, stream: BinaryIO | None = None) -> None:
        # Unbuffered: a thread that hangs in a full pipe must hold no lock when the process ends.
        self._stream = stream or open(1, "wb", buffering=0, closefd=False)  # noqa: SIM115
        self._waiting: deque[bytes] = deque(maxlen=_MOST_WAITING)
        self._dropped = 0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def write(self, fields: dict[str, Any]) -> None:
        """Take a line; from one thread only, the event loop's."""
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
        """Write what is left, for at most a second."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(1)

    def _run(self) -> None:
        while not self._stopping.wait(_PAUSE_S):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        lines = []
        while self._waiting:
            lines.append(self._waiting.popleft())
        if not lines:
            return
        try:
            self._stream.write(b"".join(lines))
            self._stream.flush()
        except (OSError, ValueError):
            # Nobody reads the log any more; requests are answered all the same.
            self._dropped += len(lines)
