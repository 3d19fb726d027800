"""Blocks of requests to one service, so short that a slow moment of the machine hits all services alike."""

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from benchmarks.serving.load import Load
from benchmarks.serving.processes import HOST, Running
from benchmarks.serving.questions import Question
from modelyard.errors import ModelyardError

TIMEOUT_S = 60.0
_END, _LENGTH, _OK = b"\r\n\r\n", b"content-length: ", b"HTTP/1.1 200 "


class Asker:
    """Connections to a service; each asks again once all of them are answered.

    Args:
        running: the service.
        question: says what is asked; the files are others.
        connections: how many ask at the same time.
    """

    def __init__(self, running: Running, question: Question, connections: int) -> None:
        self._title, self._question = running.launch.title, question
        address = (HOST, running.port)
        self._connections = [socket.create_connection(address, TIMEOUT_S) for _ in range(connections)]

    def ask(self, files: Sequence[bytes]) -> Load:
        """Ask about each file once, and measure how long the answers take."""
        seconds = []
        for start in range(0, len(files), len(self._connections)):
            some = list(zip(self._connections, files[start:], strict=False))
            started = time.perf_counter()
            for connection, file in some:
                connection.sendall(self._write(file))
            for connection, _ in some:
                self._read(connection)
            seconds += [time.perf_counter() - started] * len(some)
        p50, p99 = np.percentile(seconds, [50, 99]) * 1000
        rounds = sum(seconds) / len(self._connections)
        return Load(len(files), len(files) / rounds, float(p50), float(p99))

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections:
            connection.close()

    def _write(self, file: bytes) -> bytes:
        asked = self._question
        head = f"POST {asked.path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {asked.content_type}\r\n"
        return f"{head}Content-Length: {len(file)}\r\n\r\n".encode() + file

    def _read(self, connection: socket.socket) -> None:
        """Read an answer; refuse any but a 200."""
        told = b""
        while _END not in told or len(told) < _find_end(told):
            if not (more := connection.recv(65_536)):
                raise ModelyardError(f"{self._title}: expected an answer, the connection was closed")
            told += more
        if not told.startswith(_OK):
            raise ModelyardError(f"{self._title}: expected a 200, got {told[:300]!r}")


@contextmanager
def open_askers(
    services: dict[str, Running], question: Question, connections: int
) -> Iterator[dict[str, Asker]]:
    """Connect to all services for the body of `with`."""
    askers = {mode: Asker(running, question, connections) for mode, running in services.items()}
    try:
        yield askers
    finally:
        for asker in askers.values():
            asker.close()


def _find_end(told: bytes) -> int:
    """Return how long an answer is, from its head."""
    head, _, _ = told.partition(_END)
    length = head.lower().partition(_LENGTH)[2].partition(b"\r\n")[0]
    return len(head) + len(_END) + int(length or 0)
