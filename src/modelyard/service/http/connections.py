"""A client's connection: its limits and deadlines outside of the application, and what is no request."""

import asyncio
from typing import Any, Protocol, cast

import httptools
import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from modelyard.service.http.joined_writes import JoinedWrites
from modelyard.service.settings import Settings

# Set in the scope of a request on a connection beyond those that are allowed.
CROWDED = "modelyard.crowded"
# Set in the scope of a request whose body turned out to be broken: the status that it was answered with.
REFUSED = "modelyard.refused"
MOST_HEADER_BYTES = 65_536
# For the rest of a body that was answered early, and for a client to read what was written to it.
LINGER_S = 3.0
# For the request of a client that had connected when the port was closed.
LAST_REQUEST_S = 1.0
# A connection without a request for so long makes room for a new one where there are too many.
REST_S = 1.0
# A deadline is noticed this much late at most.
_GLANCE_S = 1.0
# Headers are parsed in pieces, since a limit of theirs is checked between two of them.
_PIECE_BYTES = 16_384
_REASONS = {
    400: "expected a request in HTTP/1.1",
    431: f"expected headers of at most {MOST_HEADER_BYTES} bytes",
}


class Recorder(Protocol):
    """Records what the application does not see; the application itself does that."""

    def record_refused(self, status: int, method: str, path: str, seconds: float) -> str:
        """Record it, and return the id that it is recorded with."""


class Connection(HttpToolsProtocol):
    """uvicorn's own, with a deadline at any time: for headers, an answer, a body's rest, the next request.

    Bytes of a client put no deadline off, except for those that begin a request or complete its headers.
    A wish to speak another protocol is not heard, as RFC 9110 allows (7.8): the answer is one of HTTP/1.1.

    Args:
        settings: the limits.
        given: what uvicorn makes its connections of.
    """

    def __init__(self, *given: Any, settings: Settings, **named: Any) -> None:
        super().__init__(*given, **named)
        self._settings = settings
        self._in_headers = self._in_body = False
        self._header_bytes = 0
        self._began = 0.0
        self._due = 0.0
        self._glance: asyncio.TimerHandle | None = None
        self._crowded = self._stopping = self._deaf = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        writes = JoinedWrites(transport, lambda: self._in_headers or self._in_body)
        super().connection_made(writes)  # type: ignore[arg-type]
        self._began = self.loop.time()
        self._due = self._began + self._settings.headers_s
        self._crowded = len(self.connections) > self._settings.max_connections and not self._make_room()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        if self._glance is not None:
            self._glance.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Close once all is answered; a request that may be on its way gets a moment to come."""
        self._stopping = True
        if self._is_answering or not (self.cycle is None or self._in_headers):
            super().shutdown()
            return
        self._due = min(self._due, self.loop.time() + LAST_REQUEST_S)
        self._look()

    def _make_room(self) -> bool:
        """End the connection whose last request, or start, is longest ago, of those without a request."""
        others = cast("set[Connection]", self.connections) - {self}
        idle = min((one for one in others if one._is_idle), key=lambda one: one._began, default=None)
        if idle is None or self._began - idle._began < REST_S:
            return False
        idle._end()
        return True

    # What comes

    def data_received(self, data: bytes) -> None:
        """Parse what came, a piece at a time."""
        if len(data) <= _PIECE_BYTES:
            self._read(data)
            return
        view = memoryview(data)
        for start in range(0, len(data), _PIECE_BYTES):
            self._read(view[start : start + _PIECE_BYTES])

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        super().on_message_begin()
        self._in_headers = True
        self._began = self.loop.time()
        if not self._is_answering:
            self._due = self._began + self._settings.headers_s
        if self._crowded:
            self.scope[CROWDED] = True  # type: ignore[literal-required]

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; what comes as one behind a body is kept by nobody, and has no end."""
        if self._in_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Leave the rest to the application, which has limits of its own."""
        if self.parser.should_upgrade():
            return
        if self._header_bytes > MOST_HEADER_BYTES:
            self._header_bytes = len(self.url) + sum(
                len(name) + len(value) + 3 for name, value in self.headers
            )
            if self._header_bytes > MOST_HEADER_BYTES:
                raise httptools.HttpParserError
        super().on_headers_complete()
        self._header_bytes = 0
        self._in_headers, self._in_body = False, True
        if not self.pipeline:
            self._due = self.loop.time() + self._settings.deadline_s + LINGER_S
        if self._stopping:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Note that a request has come whole, which may have been answered already."""
        if self.parser.should_upgrade():
            return
        self._in_body = False
        super().on_message_complete()
        if self.cycle.response_complete:
            self._due = self.loop.time() + self._settings.keep_alive_s

    def _read(self, piece: bytes | memoryview) -> None:
        if self._deaf:
            return
        if not self._in_body:
            self._header_bytes += len(piece)
        try:
            self._parse(piece)
        except httptools.HttpParserError:
            self._refuse(431 if self._header_bytes > MOST_HEADER_BYTES else 400)
        else:
            if self._header_bytes > MOST_HEADER_BYTES:
                self._refuse(431)

    def _parse(self, piece: bytes | memoryview) -> None:
        """Feed the parser, which stops behind headers with an Upgrade and takes what follows for no HTTP."""
        while True:
            try:
                self.parser.feed_data(piece)
                return
            except httptools.HttpParserUpgrade as stopped:
                piece = memoryview(piece)[stopped.args[0] :]
                self._parse_without_upgrade()

    def _parse_without_upgrade(self) -> None:
        """Let a new parser read the headers again, as the client would have sent them without its wish."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            raise httptools.HttpParserError
        lines = [b"%b %b HTTP/%b" % (method, self.url, version)]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(b"\r\n".join([*lines, b"", b""]))

    # What goes

    def on_response_complete(self) -> None:
        """Send the answer, and begin with the next request, or to wait for it."""
        self.transport.flush()  # type: ignore[attr-defined]
        self.server_state.total_requests += 1
        now = self.loop.time()
        self.flow.resume_reading()
        if self.transport.is_closing():
            self._deaf = True
            self._due = now + LINGER_S
            return
        if self.pipeline:
            self._due = now + self._settings.deadline_s + LINGER_S
            self._start_asgi_task(*self.pipeline.pop())
        elif self._in_headers:
            self._due = now + self._settings.headers_s
        else:
            self._due = now + (LINGER_S if self._in_body else self._settings.keep_alive_s)

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def _is_idle(self) -> bool:
        busy = self._is_answering or self._in_headers or self._in_body
        return not (busy or self.transport.is_closing())

    def _refuse(self, status: int) -> None:
        """Tell a client that its request is none, unless that could be taken for another request's answer."""
        self._deaf = True
        if not self._is_answering:
            if not self._in_body:
                self._tell(status, self._record(status))
            self.transport.close()
        elif not self._in_body:
            # The requests before it are answered first.
            self._record(status)
            self.cycle.keep_alive = False
        else:
            if not (self.pipeline or self.cycle.response_started):
                self.scope[REFUSED] = status  # type: ignore[literal-required]
                self._tell(status)
            # The application learns that nothing more comes, as if the client had gone.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self.transport.close()

    def _record(self, status: int) -> str:
        method = self.parser.get_method().decode() if self._in_headers and self.url else ""
        path = self.url.partition(b"?")[0].decode("latin-1") if self._in_headers else ""
        seconds = self.loop.time() - self._began if self._in_headers else 0.0
        return cast("Recorder", self.app).record_refused(status, method, path, seconds)

    def _tell(self, status: int, request_id: str = "") -> None:
        body = orjson.dumps({"error": _REASONS[status]})
        headers = [
            *self.server_state.default_headers,
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        if request_id:
            headers.append((b"x-request-id", request_id.encode()))
        lines = [b"%b: %b\r\n" % header for header in headers]
        self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", body]))

    # Deadlines

    def _look(self) -> None:
        """Close what is past its deadline, and look again; a timer for each request would cost it more."""
        if self._glance is not None:
            self._glance.cancel()
        now = self.loop.time()
        if now >= self._due:
            self._end()
            self._due = now + LINGER_S
        self._glance = self.loop.call_at(min(self._due, now + _GLANCE_S), self._look)

    def _end(self) -> None:
        if self.transport.is_closing():
            # Nobody reads what is still to be sent.
            self.transport.abort()
            return
        if self._in_headers and not self._is_answering:
            self._record(408)
        self.transport.end()  # type: ignore[attr-defined]
