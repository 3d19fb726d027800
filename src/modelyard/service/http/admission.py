"""Bounds on the requests inside the service, and on those that compute at once."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from modelyard.service.http.refusals import busy

P = ParamSpec("P")
T = TypeVar("T")


class Admission:
    """Slots for computations in threads, with a bounded queue of requests; for one event loop."""

    def __init__(self, max_concurrent: int, max_queued: int) -> None:
        self._most = max_concurrent + max_queued
        self._slots = asyncio.Semaphore(max_concurrent)
        self._threads = ThreadPoolExecutor(max_concurrent, thread_name_prefix="predict")
        self.inside = 0

    @contextlib.contextmanager
    def admit(self) -> Iterator[None]:
        """Count a request as inside; refuse it (503) if there are too many already."""
        if self.inside >= self._most:
            raise busy(f"busy: {self.inside} requests are in progress, try again in a second")
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a thread, once there is a slot.

        A caller that is cancelled while it waits leaves the queue. A running function keeps its slot until it
        returns, since a thread cannot be stopped.
        """
        await self._slots.acquire()
        loop = asyncio.get_running_loop()
        try:
            future = self._threads.submit(function, *args, **kwargs)
        except RuntimeError:
            self._slots.release()
            raise busy("the service is stopping") from None

        def release(_: Future[T]) -> None:
            loop.call_soon_threadsafe(self._slots.release)

        future.add_done_callback(release)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Wait for running computations, and start no new ones."""
        self._threads.shutdown(wait=True, cancel_futures=True)
