"""A client's connection: its limits, its deadlines, and input that is not a request."""

import asyncio
from typing import TYPE_CHECKING, Any, cast

import httptools
import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from modelyard.service.http.connections.joined_writes import JoinedWrites
from modelyard.service.settings import Settings

if TYPE_CHECKING:
    from modelyard.service.http.front import Front

# Set in the scope of a request whose connection is one too many.
CROWDED = "modelyard.crowded"
# Set in the scope of a request whose body is malformed, to the status of its answer.
REFUSED = "modelyard.refused"
MOST_HEADER_BYTES = 65_536
# Time for the rest of a body that was answered early, and for a client to read its answer.
LINGER_S = 3.0
# Time for the first request of a client that had connected when the port was closed.
LAST_REQUEST_S = 1.0
# When there are too many connections, one without a request for this long makes room for a new one.
REST_S = 1.0
# A deadline is noticed at most this late.
_GLANCE_S = 1.0
# Headers are parsed in pieces, and their limit is checked between two pieces.
_PIECE_BYTES = 16_384
_REASONS = {
    400: "expected a request in HTTP/1.1",
    431: f"expected headers of at most {MOST_HEADER_BYTES} bytes",
}


class Connection(HttpToolsProtocol):
    """uvicorn's connection, which always has a deadline: for headers, an answer, a body, the next request.

    Only the first byte of a request and the end of its headers move a deadline. A request to upgrade to
    another protocol is answered in HTTP/1.1, as RFC 9110 allows (7.8).
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
        """Start to wait for the first request."""
        writes = JoinedWrites(transport, lambda: self._in_headers or self._in_body)
        super().connection_made(writes)  # type: ignore[arg-type]
        self._began = self.loop.time()
        self._due = self._began + self._settings.headers_s
        self._crowded = len(self.connections) > self._settings.max_connections and not self._make_room()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        if self._glance is not None:
            self._glance.cancel()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Close once all is answered, and a request that may be on its way has had a moment to arrive."""
        self._stopping = True
        if self._is_answering or not (self.cycle is None or self._in_headers):
            super().shutdown()
            return
        self._due = min(self._due, self.loop.time() + LAST_REQUEST_S)
        self._look()

    def _make_room(self) -> bool:
        """Close the connection that has been idle the longest, if it has been idle long enough."""
        others = cast("set[Connection]", self.connections) - {self}
        idle = min((one for one in others if one._is_idle), key=lambda one: one._began, default=None)
        if idle is None or self._began - idle._began < REST_S:
            return False
        idle._end()
        return True

    # Input

    def data_received(self, data: bytes) -> None:
        """Parse data, a piece at a time."""
        if len(data) <= _PIECE_BYTES:
            self._read(data)
            return
        view = memoryview(data)
        for start in range(0, len(data), _PIECE_BYTES):
            self._read(view[start : start + _PIECE_BYTES])

    def on_message_begin(self) -> None:
        """Note the start of a request."""
        super().on_message_begin()
        self._in_headers = True
        self._began = self.loop.time()
        if not self._is_answering:
            self._due = self._began + self._settings.headers_s
        if self._crowded:
            self.scope[CROWDED] = True  # type: ignore[literal-required]

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header, but no trailers behind a body: they are unlimited, and nobody reads them."""
        if self._in_headers:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Hand the request to the application, which has limits of its own."""
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
        """Note the end of a request, which may have been answered already."""
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
        """Feed the parser, which stops after headers with an Upgrade, and would not read on."""
        while True:
            try:
                self.parser.feed_data(piece)
                return
            except httptools.HttpParserUpgrade as stopped:
                piece = memoryview(piece)[stopped.args[0] :]
                self._parse_without_upgrade()

    def _parse_without_upgrade(self) -> None:
        """Let a new parser read the headers again, without the Upgrade."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            raise httptools.HttpParserError
        lines = [b"%b %b HTTP/%b" % (method, self.url, version)]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(b"\r\n".join([*lines, b"", b""]))

    # Output

    def on_response_complete(self) -> None:
        """Send the answer, and start the next request, or wait for it."""
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
        """Refuse malformed input, unless the client could take that for the answer to another request."""
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
            # To the application it looks as if the client had gone.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self.transport.close()

    def _record(self, status: int) -> str:
        method = self.parser.get_method().decode() if self._in_headers and self.url else ""
        path = self.url.partition(b"?")[0].decode("latin-1") if self._in_headers else ""
        seconds = self.loop.time() - self._began if self._in_headers else 0.0
        return cast("Front", self.app).record_refused(status, method, path, seconds)

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
        """Close the connection after its deadline, or look again; a timer a request would cost more."""
        if self._glance is not None:
            self._glance.cancel()
        now = self.loop.time()
        if now >= self._due:
            self._end()
            self._due = now + LINGER_S
        self._glance = self.loop.call_at(min(self._due, now + _GLANCE_S), self._look)

    def _end(self) -> None:
        if self.transport.is_closing():
            # The client does not read the rest.
            self.transport.abort()
            return
        if self._in_headers and not self._is_answering:
            self._record(408)
        self.transport.end()  # type: ignore[attr-defined]
