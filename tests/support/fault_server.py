"""A real HTTP server on loopback that answers as badly as it is told to."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Fault:
    """How one request is answered; by default as it should be.

    Attributes:
        status: this status in place of the file.
        body: other bytes in place of the file.
        content_type: what the body is said to be.
        cut_after: close the connection after this many bytes of the body.
        silent_after: send nothing more after this many bytes of the body, until the server ends.
        mute: send nothing at all, until the server ends.
        hang_up: close the connection without an answer.
        no_length: leave out Content-Length.
        ignore_range: send the whole file, whatever part was asked for.
        wrong_range: send other bytes than asked for.
        version: "etag", "date" (Last-Modified only) or "none".
    """

    status: int | None = None
    body: bytes | None = None
    content_type: str = "application/octet-stream"
    cut_after: int | None = None
    silent_after: int | None = None
    mute: bool = False
    hang_up: bool = False
    no_length: bool = False
    ignore_range: bool = False
    wrong_range: bool = False
    version: str = "etag"


@dataclass
class FaultServer:
    """The files it serves, the faults that wait for each path, and what was asked of it.

    A path's faults are used up one a request, in their order; then it answers well.
    """

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def serve(self, path: str, body: bytes, *faults: Fault) -> str:
        """Serve `body` under `path` after these faults; return its URL."""
        self.files[path], self.faults[path] = body, list(faults)
        return self.address + path

    @property
    def ranges(self) -> list[str | None]:
        """The Range header of each request, in their order."""
        return [headers.get("Range") for _, headers in self.asked]


@contextmanager
def run_fault_server() -> Iterator[FaultServer]:
    """Run a server on a free port for as long as the body of `with`."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server = FaultServer(f"http://127.0.0.1:{http.server_port}")
    http.faults = server  # type: ignore[attr-defined]
    # The default of half a second would be the longest part of most tests.
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        http.shutdown()
        http.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server: FaultServer = self.server.faults  # type: ignore[attr-defined]
        server.asked.append((self.path, dict(self.headers)))
        self.close_connection = True
        waiting = server.faults.get(self.path)
        fault = waiting.pop(0) if waiting else Fault()
        if fault.mute:
            server.ended.wait()
        elif not fault.hang_up:
            self._answer(server, fault)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Stay silent: the test's output is for the code under test."""

    def _answer(self, server: FaultServer, fault: Fault) -> None:
        body = fault.body if fault.body is not None else server.files.get(self.path)
        if body is None or fault.status is not None:
            self._send(fault.status or 404, {}, b"", fault)
            return
        version = {"ETag": f'"{hashlib.sha256(body).hexdigest()}"'} if fault.version == "etag" else {}
        if fault.version == "date":
            version = {"Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
        begin = self._begin(fault, version)
        if begin is None:
            self._send(200, version, body, fault)
        elif begin >= len(body):
            self._send(416, {"Content-Range": f"bytes */{len(body)}"}, b"", fault)
        else:
            begin += fault.wrong_range
            span = {"Content-Range": f"bytes {begin}-{len(body) - 1}/{len(body)}"}
            self._send(206, version | span, body[begin:], fault)

    def _begin(self, fault: Fault, version: dict[str, str]) -> int | None:
        """Return the first byte that is asked for; None where the whole file is to be sent."""
        asked, same_as = self.headers.get("Range"), self.headers.get("If-Range")
        if asked is None or fault.ignore_range or (same_as and same_as not in version.values()):
            return None
        return int(asked.removeprefix("bytes=").rstrip("-"))

    def _send(self, status: int, headers: dict[str, str], body: bytes, fault: Fault) -> None:
        self.send_response(status)
        length = {} if fault.no_length else {"Content-Length": str(len(body))}
        for name, value in ({"Content-Type": fault.content_type} | length | headers).items():
            self.send_header(name, value)
        self.end_headers()
        stop = fault.cut_after if fault.cut_after is not None else fault.silent_after
        self.wfile.write(body[:stop])
        if fault.silent_after is not None:
            self.wfile.flush()
            self.server.faults.ended.wait()  # type: ignore[attr-defined]
