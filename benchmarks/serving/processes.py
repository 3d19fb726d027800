"""Servers as processes: started, awaited until their answers are right, stopped with their children."""

import functools
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import requests

from benchmarks.command import read_end
from benchmarks.serving.questions import Question
from modelyard.errors import ModelyardError

OK, HOST, PORT = 200, "127.0.0.1", "PORT"
POLL_S, LONGEST_START_S, LONGEST_ANSWER_S, LONGEST_STOP_S = 0.02, 180.0, 60.0, 5.0
IDLE_SHARE, LOOK_S, LONGEST_WORK_S = 0.3, 0.3, 90.0


@dataclass(frozen=True)
class Launch:
    """How a server's process is started.

    Attributes:
        command: "PORT" stands for the port.
        questions: by model, for all models of this process.
        environment: added to that of this process.
        copy: its local copy of the registry, if it has one; deleted before every round.
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
    """A server's process."""

    launch: Launch
    process: subprocess.Popen[bytes]
    port: int
    started_s: float
    log: Path

    def await_answers(self) -> dict[str, float]:
        """Ask every 20 ms until each model has given the right answer; return the seconds from the start."""
        return {
            model: self._await(functools.partial(self._is_answered, question), "answer")
            for model, question in self.launch.questions.items()
        }

    def await_readiness(self) -> float:
        """Get /readyz every 20 ms until the status is 200; return the seconds from the start."""
        return self._await(lambda: self.request("GET", "/readyz")[0] == OK, "be ready")

    def await_idleness(self) -> None:
        """Wait until the server has finished what the load left in its queues, at most 90 s."""
        stop, busy_s = time.monotonic() + LONGEST_WORK_S, float("-inf")
        while time.monotonic() < stop:
            times = [process.cpu_times() for process in _list_tree(self.process.pid)]
            now_s = sum(one.user + one.system for one in times)
            if now_s - busy_s < IDLE_SHARE * LOOK_S:
                return
            busy_s = now_s
            time.sleep(LOOK_S)

    def ask(self, question: Question) -> float:
        """Return the seconds until the right answer; any other is an error."""
        asked_s = time.monotonic()
        self._is_answered(question, is_ready=True)
        return time.monotonic() - asked_s

    def measure_memory(self) -> dict[str, float]:
        """Return memory in MB of 1,000,000 bytes, and how many processes the server has.

        RSS counts shared pages in each process; PSS divides them among the processes that share them.
        """
        found = [process.memory_full_info() for process in _list_tree(self.process.pid)]
        rss, pss = sum(one.rss for one in found), sum(one.pss for one in found)
        return {"rss_mb": rss / 1e6, "pss_mb": pss / 1e6, "processes": len(found)}

    def measure_peak_mb(self) -> float:
        """Return the most RSS of the server's own process until now, in MB; where none is kept, today's."""
        status = Path(f"/proc/{self.process.pid}/status")
        if not status.exists():
            return self.measure_memory()["rss_mb"]
        return int(re.findall(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)[0]) * 1024 / 1e6

    def request(self, method: str, path: str, **content: Any) -> tuple[int, bytes]:
        """Return status and body; status 0, with the reason, where there is no answer."""
        url, no_proxy = f"http://{HOST}:{self.port}{path}", {"no_proxy": HOST}
        try:
            answer = requests.request(method, url, timeout=LONGEST_ANSWER_S, proxies=no_proxy, **content)
        except requests.RequestException as error:
            return 0, str(error).encode()
        return answer.status_code, answer.content

    def _is_answered(self, question: Question, is_ready: bool = False) -> bool:
        """Refuse a wrong answer; a server that is not ready does not listen, or answers with 503."""
        body, headers = question.body.read_bytes(), {"Content-Type": question.content_type}
        status, content = self.request("POST", question.path, data=body, headers=headers)
        if status == OK:
            question.check(content, self.launch.title)
        elif is_ready or 400 <= status < 500:
            told = content[:300].decode(errors="replace")
            raise ModelyardError(f"{self.launch.title}: expected an answer, got status {status}: {told}")
        return status == OK

    def _await(self, look: Callable[[], bool], what: str) -> float:
        while not look():
            code, waited_s = self.process.poll(), time.monotonic() - self.started_s
            if code is not None or waited_s > LONGEST_START_S:
                state = "it is running" if code is None else f"it ended with code {code}"
                told = f"expected it to {what}; after {waited_s:.0f} s {state}; {read_end(self.log)}"
                raise ModelyardError(f"{self.launch.title}: {told}")
            time.sleep(POLL_S)
        return time.monotonic() - self.started_s


@contextmanager
def start(launch: Launch, logs: Path) -> Iterator[Running]:
    """Run a server that logs to `logs`; at the end stop it and all processes that it has started."""
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{launch.title}.log"
    with socket.create_server((HOST, 0)) as probe:
        port = probe.getsockname()[1]
    command = [str(port) if part == PORT else part for part in launch.command]
    environment, started_s = {**os.environ, **launch.environment}, time.monotonic()
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, env=environment, cwd=launch.folder, stdout=output, stderr=output, start_new_session=True
        ) as process,
    ):
        try:
            yield Running(launch, process, port, started_s, log)
        finally:
            tree = _list_tree(process.pid)
            process.terminate()
            _, left = psutil.wait_procs(tree, timeout=LONGEST_STOP_S)
            for one in left:
                one.kill()
            psutil.wait_procs(left, timeout=LONGEST_WORK_S)


def _list_tree(pid: int) -> list[psutil.Process]:
    """Return those of a process and its descendants that are alive."""
    try:
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
    return [process for process in tree if process.status() != psutil.STATUS_ZOMBIE]
