"""A stop without a lost request: clients and load balancers are turned away before the port is closed."""

import asyncio
import signal
import threading
from types import FrameType

from modelyard.service.http.arrivals import Arrivals

# For clients that have connected to be accepted, once no others are let in.
_GLANCE_S, _MOST_GLANCES = 0.1, 50


class Draining:
    """Puts off the server's own reaction to SIGTERM and SIGINT by some seconds.

    Meanwhile every request is answered, /readyz says 503, and every answer closes its connection, so that no
    client sends its next request into a socket that is just being closed. The same signal once more is
    impatience, and stops the server at once; the other one is not, since with several processes a Ctrl-C
    reaches each of them twice: from the terminal as SIGINT, and from their parent as SIGTERM.

    Args:
        seconds: from the signal to the end of new connections; those there are are accepted and answered.
        arrivals: at the port; None where it is not ours to close.
    """

    def __init__(self, seconds: float, arrivals: Arrivals | None = None) -> None:
        self._seconds = seconds
        self._arrivals = arrivals
        self._begun_by: int | None = None
        self._stopped = False
        self._task: asyncio.Task[None] | None = None

    @property
    def begun(self) -> bool:
        """Whether a signal has come."""
        return self._begun_by is not None

    def watch(self) -> None:
        """Take the signals over; called on the server's event loop, once it has set its own handlers."""
        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._replace_handler(number, loop)

    def _replace_handler(self, number: signal.Signals, loop: asyncio.AbstractEventLoop) -> None:
        given = signal.getsignal(number)

        def stop() -> None:
            if callable(given):
                self._stopped = True
                given(number, None)

        async def drain() -> None:
            await asyncio.sleep(self._seconds)
            await self._settle()
            # The server takes a second call for impatience, and drops who is inside.
            if not self._stopped:
                stop()

        def begin() -> None:
            self._task = loop.create_task(drain())

        def receive(received: int, frame: FrameType | None) -> None:  # noqa: ARG001
            if self._begun_by is None:
                self._begun_by = received
                loop.call_soon_threadsafe(begin)
            elif self._begun_by == received:
                stop()

        signal.signal(number, receive)

    async def _settle(self) -> None:
        """End new connections, and wait some seconds at most until those there are have been accepted."""
        if self._arrivals is None:
            return
        self._arrivals.end()
        for _ in range(_MOST_GLANCES):
            await asyncio.sleep(_GLANCE_S)
            if not self._arrivals.are_waiting:
                return
