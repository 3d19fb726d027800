"""A client's connection: what it may do before a request has begun, where the application does not see it."""

import asyncio
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from modelyard.service.settings import Settings

# Set in the scope of a request on a connection beyond those that are allowed.
CROWDED = "modelyard.crowded"
MOST_HEADER_BYTES = 65_536

_TOO_LARGE = orjson.dumps({"error": f"expected headers of at most {MOST_HEADER_BYTES} bytes"})
_REFUSAL = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b"
) % (len(_TOO_LARGE), _TOO_LARGE)


# An answer this long is not held back.
_MOST_HELD_BYTES = 65_536


class JoinedWrites:
    """A transport that holds back an answer's head for its body: one system call instead of two.

    Args:
        transport: what everything else is asked of.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held: list[bytes] = []
        self._held_bytes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Hold data until `flush`; an interim answer (100 Continue) and long ones go on at once."""
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
        """Send what is held, then close."""
        self.flush()
        self._transport.close()


class Connection(HttpToolsProtocol):
    """uvicorn's own, with limits for headers: their time, their bytes, and the connections there are at once.

    Args:
        settings: the limits.
        given: what uvicorn makes its connections of.
    """

    def __init__(self, *given: Any, settings: Settings, **named: Any) -> None:
        super().__init__(*given, **named)
        self._settings = settings
        self._in_headers = True
        self._header_bytes = 0
        self._headers_due: asyncio.TimerHandle | None = None
        self._crowded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(JoinedWrites(transport))  # type: ignore[arg-type]
        self._crowded = len(self.connections) > self._settings.max_connections
        self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what came of a request whose headers are not complete yet."""
        super().data_received(data)
        if not self._in_headers or self.transport.is_closing():
            return
        self._header_bytes += len(data)
        if self._headers_due is None:
            self._wait_for_headers()
        if self._header_bytes > MOST_HEADER_BYTES:
            self.transport.write(_REFUSAL)
            self.transport.close()

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        super().on_message_begin()
        self._in_headers = True
        if self._crowded:
            self.scope[CROWDED] = True  # type: ignore[literal-required]

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; what comes as one behind a body is kept by nobody, and has no end."""
        if self._in_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Leave the rest to the application, which has limits of its own."""
        self._in_headers = False
        self._header_bytes = 0
        self._stop_waiting()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Send the answer."""
        self.transport.flush()  # type: ignore[attr-defined]
        super().on_response_complete()

    def _wait_for_headers(self) -> None:
        self._headers_due = self.loop.call_later(self._settings.headers_s, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None
