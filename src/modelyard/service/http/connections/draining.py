"""A stop that loses no request: clients and load balancers are turned away before the port is closed."""

import asyncio
import signal
import threading
from functools import partial
from types import FrameType
from typing import Any

from modelyard.service.http.connections.closing_port import Arrivals

# Time to accept the clients that have connected.
_GLANCE_S, _MOST_GLANCES = 0.1, 50


class Draining:
    """Delays the server's own reaction to SIGTERM and SIGINT by some seconds.

    Meanwhile every request is answered, /readyz answers 503, and every answer closes its connection, so that
    no client sends its next request into a closing socket. After the delay new connections end; clients among
    the `arrivals` are still accepted. The same signal again stops the server at once. The other signal does
    not: with several processes a Ctrl-C reaches each of them twice, from the terminal as SIGINT, and from
    their parent as SIGTERM.
    """

    def __init__(self, seconds: float, arrivals: Arrivals) -> None:
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
        """Take over the signals; called on the event loop after the server has set its own handlers."""
        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, partial(self._receive, loop, signal.getsignal(number)))

    def _receive(
        self,
        loop: asyncio.AbstractEventLoop,
        stop: Any,
        number: int,
        frame: FrameType | None,  # noqa: ARG002
    ) -> None:
        if self._begun_by is None:
            self._begun_by = number
            loop.call_soon_threadsafe(self._begin, stop)
        elif self._begun_by == number:
            self._stop(stop)

    def _begin(self, stop: Any) -> None:
        self._task = asyncio.get_running_loop().create_task(self._drain(stop))

    async def _drain(self, stop: Any) -> None:
        await asyncio.sleep(self._seconds)
        await self._settle()
        # A second call would make the server drop unanswered requests.
        if not self._stopped:
            self._stop(stop)

    def _stop(self, stop: Any) -> None:
        """Call the server's own handler of the signal."""
        if callable(stop):
            self._stopped = True
            stop(self._begun_by, None)

    async def _settle(self) -> None:
        """End new connections, and wait a few seconds until those already open have been accepted."""
        self._arrivals.end()
        for _ in range(_MOST_GLANCES):
            await asyncio.sleep(_GLANCE_S)
            if not self._arrivals.are_waiting:
                return
