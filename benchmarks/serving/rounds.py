"""Rounds: every server in turn is started, checked, loaded, measured and stopped, again and again."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.serving.load import Load, choose_seconds, put_load
from benchmarks.serving.measurements import Growth, Measurement, Ready, Start
from benchmarks.serving.memory import measure_memory, wait_until_idle
from benchmarks.serving.processes import Launch, Running, start
from benchmarks.serving.questions import Question
from benchmarks.serving.servers import TITLES
from modelyard.errors import ModelyardError

CONNECTIONS = (1, 8, 32)
WARM_UP_CONNECTIONS = 8
# Memory is compared after a twentieth of the requests and after all: 10,000 and 200,000.
FEW = 20


@dataclass
class Rounds:
    """All that is measured in one run.

    Args:
        seconds: of each measurement.
        logs: the folder for what servers print.
        tell: gets a line for each thing measured.
    """

    seconds: int
    logs: Path
    tell: Callable[[str], None]
    measurements: list[Measurement] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)
    ready: list[Ready] = field(default_factory=list)

    def measure_server(self, launch: Launch) -> None:
        """Start a server, and put every load on each of its models, once its answers are right.

        Raises:
            ModelyardError: it does not start, or answers with errors or wrongly.
        """
        _empty_copy(launch)
        with start(launch, self.logs) as running:
            seconds = running.await_answers()
            for model, question in launch.questions.items():
                self._measure_model(running, model, question)
            memory = measure_memory(running.process.pid)
        for model, first_answer_s in seconds.items():
            self.starts.append(Start(launch.server, model, first_answer_s, memory))
            told = f"first answer after {first_answer_s:.2f} s, RSS {memory.rss_mb:,.0f} MB"
            self._tell(launch, model, told)

    def measure_readiness(self, launch: Launch) -> None:
        """Start door 2 with an empty local copy and with the one it left, until it is ready."""
        _empty_copy(launch)
        with start(launch, self.logs) as running:
            empty_copy_s = running.await_status("/readyz")
        with start(launch, self.logs) as running:
            filled_copy_s = running.await_status("/readyz")
            served = _name_champions(json.loads(running.fetch("/models")))
        self.ready.append(Ready(empty_copy_s, filled_copy_s, served))
        told = f"ready after {empty_copy_s:.2f} s with an empty copy, {filled_copy_s:.2f} s with a filled one"
        self._tell(launch, "all", told)

    def measure_growth(self, launch: Launch, model: str, requests: int) -> Growth:
        """Load one model with so many requests over 8 connections, and compare memory early and late.

        Raises:
            ModelyardError: it does not start, or answers with errors or wrongly.
        """
        with start(launch, self.logs) as running:
            running.await_answers()
            question = launch.questions[model]
            few = _answer_many(running, question, requests // FEW, piece_s=1)
            few_memory = measure_memory(running.process.pid)
            self._tell(launch, model, f"{few_memory.rss_mb:6.1f} MB after {few:,} requests")
            many = few + _answer_many(running, question, requests - few, piece_s=10)
            many_memory = measure_memory(running.process.pid)
            self._tell(launch, model, f"{many_memory.rss_mb:6.1f} MB after {many:,} requests")
        return Growth(few, few_memory, many, many_memory)

    def _measure_model(self, running: Running, model: str, question: Question) -> None:
        _put_load(running, question, WARM_UP_CONNECTIONS, max(1, self.seconds // 2))
        for connections in CONNECTIONS:
            load = _put_load(running, question, connections, self.seconds)
            self.measurements.append(Measurement(running.launch.server, model, connections, load))
            told = f"{load.requests_per_s:8,.1f}/s  p50 {load.p50_ms:8,.2f} ms  p99 {load.p99_ms:8,.2f} ms"
            self._tell(running.launch, model, f"{connections:2} conn. {told}")
        wait_until_idle(running.process.pid)
        running.ask(question)

    def _tell(self, launch: Launch, model: str, what: str) -> None:
        self.tell(f"{model:9}  {TITLES[launch.server]:40}  {what}")


def _empty_copy(launch: Launch) -> None:
    if launch.copy is not None and launch.copy.exists():
        shutil.rmtree(launch.copy)


def _name_champions(models: list[dict[str, Any]]) -> tuple[str, ...]:
    """Name what is served, from the answer of /models, such as "mnist 1 (float32)"."""
    return tuple(
        f"{model['name']} {version['version']} ({version['precision']})"
        for model in models
        for version in model["versions"]
        if version["loaded"] and version["version"] == model["aliases"].get("champion")
    )


def _put_load(running: Running, question: Question, connections: int, seconds: int) -> Load:
    """Put a load on a server that has nothing else to do; a slow one gets more seconds.

    Raises:
        ModelyardError: an answer was an error or wrong, a connection failed, or nothing was answered.
    """
    wait_until_idle(running.process.pid)
    seconds = choose_seconds(seconds, running.ask(question), connections)
    try:
        return put_load(running.address, question, connections, seconds)
    except ModelyardError as error:
        raise ModelyardError(
            f"{running.launch.title}, {connections} connections: {error}; its log is {running.log}"
        ) from None


def _answer_many(running: Running, question: Question, requests: int, piece_s: int) -> int:
    answered = 0
    while answered < requests:
        answered += _put_load(running, question, WARM_UP_CONNECTIONS, piece_s).requests
    return answered
