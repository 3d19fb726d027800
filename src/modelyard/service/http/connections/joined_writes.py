"""A transport that joins writes, and whose end leaves a client time to read its answer."""

import asyncio
from collections.abc import Callable
from typing import Any

# Longer answers are not held back.
_MOST_HELD_BYTES = 65_536


class JoinedWrites:
    """A transport that holds an answer's head until its body comes: one system call instead of two.

    `is_sending` says whether the client is in the middle of a request.
    """

    def __init__(self, transport: asyncio.Transport, is_sending: Callable[[], bool]) -> None:
        self._transport = transport
        self._is_sending = is_sending
        self._half_closed = False
        self._held: list[bytes] = []
        self._held_bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Hold data until `flush`; an interim answer (100 Continue) and long ones are sent at once."""
        self._held.append(data)
        self._held_bytes += len(data)
        if self._held_bytes > _MOST_HELD_BYTES or data.startswith(b"HTTP/1.1 1"):
            self.flush()

    def flush(self) -> None:
        """Send what is held."""
        if self._held:
            self._transport.write(b"".join(self._held))
            self._held.clear()
            self._held_bytes = 0

    def close(self) -> None:
        """Send what is held, then close; if the client is still sending, close only our half.

        More input would reset a closed connection, and the client might lose its answer.
        """
        if self.is_closing():
            return
        self.flush()
        if self._is_sending():
            self._half_closed = True
            self._transport.write_eof()
        else:
            self._transport.close()

    def is_closing(self) -> bool:
        """Say whether nothing more can be sent."""
        return self._half_closed or self._transport.is_closing()

    def end(self) -> None:
        """Send what is held, then close both halves."""
        self.flush()
        self._transport.close()
