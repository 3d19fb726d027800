"""The process that records, as the service sees it.

What goes through the two pipes is pickled: nobody else can write to them.
"""

import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection

from modelyard.service.recording.delivery.messages import END, Message, Status
from modelyard.service.recording.delivery.packing import Packed, send
from modelyard.service.recording.options import RecordingOptions

log = logging.getLogger(__name__)
PROGRAM = "modelyard.service.recording.process"


class Child:
    """A running process that records; raises OSError if it cannot be started.

    `environment` is what it has beside the environment of this process.
    """

    def __init__(self, options: RecordingOptions, environment: Mapping[str, str]) -> None:
        given, self._given = _open_pipe()
        self._told, told = _open_pipe()
        with given, told:
            handles = (given.fileno(), told.fileno())
            # The child finds the same packages as this process, and none in the working directory.
            path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", PROGRAM, *map(str, handles)],
                pass_fds=handles,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env={**os.environ, **path, **environment},
                # A signal from the terminal is for the service, which still has rows for this process then.
                # Both stay in one session, because some Linux systems compare priorities only within one.
                process_group=0,
            )
        self._given.send(options)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, message: Message | Packed) -> None:
        """Send a message, or answers, as soon as there is room; raise OSError if the process has ended."""
        send(self._given, message)

    def read(self) -> Iterator[Status]:
        """Give what the process tells, until it ends or cannot be understood."""
        try:
            while True:
                yield self._told.recv()
        except (EOFError, OSError):
            return
        except Exception:  # such as another version of the package, installed meanwhile
            log.exception("the process that records tells what cannot be read")

    def end(self) -> None:
        """Let it end once it has written all that was sent."""
        # Without these words, it takes the service for killed.
        with contextlib.suppress(OSError):
            self._given.send(END)
        self._given.close()

    def wait(self, seconds: float) -> int | None:
        """Wait for its end; return its exit code, None if it still runs."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End it now; one that waits for a dead drive ends later."""
        self._process.kill()
        self.wait(1.0)


def _open_pipe() -> tuple[Connection, Connection]:
    reader, writer = os.pipe()
    return Connection(reader, writable=False), Connection(writer, readable=False)
