"""A stop without a lost request: clients and load balancers are turned away before the port is closed."""

import asyncio
import signal
import threading
from types import FrameType


class Draining:
    """Puts off the server's own reaction to SIGTERM and SIGINT by some seconds.

    Meanwhile every request is answered, /readyz says 503, and every answer closes its connection, so that no
    client sends its next request into a socket that is just being closed.

    Args:
        seconds: from the signal to the closing of the port.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.begun = False

    def watch(self) -> None:
        """Take the signals over; called on the server's event loop, once it has set its own handlers."""
        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._take_over(number, loop)

    def _take_over(self, number: signal.Signals, loop: asyncio.AbstractEventLoop) -> None:
        stop = signal.getsignal(number)

        def begin(received: int, frame: FrameType | None) -> None:
            if not callable(stop):
                return
            if self.begun:
                # A second signal is impatience.
                stop(received, frame)
                return
            self.begun = True
            loop.call_soon_threadsafe(lambda: loop.call_later(self._seconds, stop, received, None))

        signal.signal(number, begin)
