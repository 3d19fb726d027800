"""Servers as processes: started, awaited until they answer rightly, and stopped with all they started."""

import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import psutil

from benchmarks.serving.memory import list_tree
from benchmarks.serving.questions import Question
from modelyard.errors import ModelyardError

HOST = "127.0.0.1"
POLL_S = 0.02
LONGEST_START_S = 180.0
LONGEST_ANSWER_S = 60.0
LONGEST_STOP_S = 5.0
PORT = "PORT"


@dataclass(frozen=True)
class Launch:
    """How one process of a server is started.

    Attributes:
        server: its key.
        command: with "PORT" where the port belongs.
        questions: by model, for all that this process serves.
        environment: beside that of this process.
        folder: to start it in.
        copy: its local copy of the registry, where it keeps one; emptied before every round.
    """

    server: str
    command: tuple[str, ...]
    questions: Mapping[str, Question]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path = Path()
    copy: Path | None = None

    @property
    def title(self) -> str:
        """The server and its models, for messages and as a file's name."""
        return "-".join([self.server, *self.questions])


@dataclass(frozen=True)
class Running:
    """A server's process, which leads a group of its own."""

    launch: Launch
    process: subprocess.Popen[bytes]
    port: int
    started_s: float
    log: Path

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}"

    def await_answers(self) -> dict[str, float]:
        """Ask every 20 ms until each model has answered rightly; return the seconds from the start.

        Raises:
            ModelyardError: a wrong answer, an end of the process, or none within three minutes.
        """
        seconds: dict[str, float] = {}
        while len(seconds) < len(self.launch.questions):
            for model, question in self.launch.questions.items():
                if model not in seconds and self._is_answered(question):
                    seconds[model] = time.monotonic() - self.started_s
            self._expect_life("answer")
        return seconds

    def await_status(self, path: str) -> float:
        """Get a path every 20 ms until it is a 200; return the seconds from the start."""
        while self._request("GET", path)[0] != http.HTTPStatus.OK:
            self._expect_life(f"answer {path} with 200")
        return time.monotonic() - self.started_s

    def ask(self, question: Question) -> float:
        """Ask one question and return the seconds to the right answer.

        Raises:
            ModelyardError: there was another answer, or none.
        """
        start_s = time.monotonic()
        status, content = self._post(question)
        if status != http.HTTPStatus.OK:
            self._refuse(status, content)
        self._check(question, content)
        return time.monotonic() - start_s

    def fetch(self, path: str) -> bytes:
        """Return what GET gives."""
        return self._request("GET", path)[1]

    def _is_answered(self, question: Question) -> bool:
        status, content = self._post(question)
        if status == http.HTTPStatus.OK:
            self._check(question, content)
        elif 400 <= status < 500:
            # A server that is not ready yet does not listen, or says 503.
            self._refuse(status, content)
        return status == http.HTTPStatus.OK

    def _refuse(self, status: int, content: bytes) -> NoReturn:
        told = content[:300].decode(errors="replace")
        raise ModelyardError(f"{self.launch.title}: expected an answer, got status {status}: {told}")

    def _check(self, question: Question, content: bytes) -> None:
        try:
            question.check(content)
        except ModelyardError as error:
            raise ModelyardError(f"{self.launch.title} answers wrongly: {error}") from error

    def _post(self, question: Question) -> tuple[int, bytes]:
        headers = {"Content-Type": question.content_type}
        return self._request("POST", question.path, question.body.read_bytes(), headers)

    def _request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Return status and content; status 0 where nobody listens yet."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=LONGEST_ANSWER_S)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (ConnectionError, http.client.HTTPException, TimeoutError) as error:
            return 0, str(error).encode()
        finally:
            connection.close()

    def _expect_life(self, what: str) -> None:
        """Sleep until the next look, if it makes sense to look again."""
        code = self.process.poll()
        waited_s = time.monotonic() - self.started_s
        if code is None and waited_s < LONGEST_START_S:
            time.sleep(POLL_S)
            return
        state = "it runs" if code is None else f"it ended with code {code}"
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])
        raise ModelyardError(
            f"{self.launch.title}: expected it to {what}; after {waited_s:.0f} s {state}; "
            f"the end of {self.log}:\n{tail}"
        )


@contextmanager
def start(launch: Launch, logs: Path) -> Iterator[Running]:
    """Start a server; it is stopped with all its processes when the body ends.

    Args:
        launch: how.
        logs: the folder for what it prints.
    """
    logs.mkdir(parents=True, exist_ok=True)
    port = find_free_port()
    log = logs / f"{launch.title}.log"
    with log.open("wb") as output:
        started_s = time.monotonic()
        process = subprocess.Popen(
            [str(port) if part == PORT else part for part in launch.command],
            env={**os.environ, **launch.environment},
            cwd=launch.folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Running(launch, process, port, started_s, log)
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process with SIGTERM, and what is left of its descendants after 5 s with SIGKILL."""
    tree = list_tree(process.pid)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    _, left = psutil.wait_procs(tree, timeout=LONGEST_STOP_S)
    for one in left:
        one.kill()
    process.wait()


def find_free_port() -> int:
    """Return a port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
