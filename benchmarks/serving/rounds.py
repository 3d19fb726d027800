"""Rounds: every server in turn is started, checked, loaded, measured and stopped."""

import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.command import Tell
from benchmarks.serving.load import Load, choose_seconds, put_load
from benchmarks.serving.processes import HOST, Launch, Running, start
from benchmarks.serving.questions import Question
from benchmarks.serving.servers import TITLES
from modelyard.errors import ModelyardError

# Numbers of requests, with the memory (RSS) of `modelyard serve` after them in MB: few, then many.
Growth = list[tuple[int, float]]
CONNECTIONS, WARM_UP_CONNECTIONS = (1, 8, 32), 8


@dataclass(frozen=True)
class Ready:
    """Seconds until `modelyard serve` is ready, without and with a local copy, and the versions it serves."""

    empty_copy_s: float
    filled_copy_s: float
    served: str = ""


@dataclass
class Rounds:
    """The measurements of one run: each load takes `seconds`, and servers log to `logs`."""

    seconds: int
    logs: Path
    tell: Tell
    records: list[dict[str, Any]] = field(default_factory=list)
    ready: list[Ready] = field(default_factory=list)

    def measure_server(self, launch: Launch) -> None:
        """Start a server, and put every load on each of its models once its answers are right."""
        if launch.copy is not None:
            shutil.rmtree(launch.copy, ignore_errors=True)
        with start(launch, self.logs) as running:
            first_answers_s = running.await_answers()
            loads = {model: self._measure_loads(running, model) for model in launch.questions}
            memory = running.measure_memory()
        for model, own in loads.items():
            about = {"model": model, "server": launch.server, "first_answer_s": first_answers_s[model]}
            for connections, load in own.items():
                self.records.append({**about, "connections": connections, **asdict(load), **memory})
            told = f"first answer after {first_answers_s[model]:.2f} s, RSS {memory['rss_mb']:,.0f} MB"
            self._tell(launch, model, told)

    def measure_readiness(self, launch: Launch) -> None:
        """Start `modelyard serve` without a local copy and with the one it left, until it is ready."""
        if launch.copy is not None:
            shutil.rmtree(launch.copy, ignore_errors=True)
        with start(launch, self.logs) as running:
            empty_copy_s = running.await_readiness()
        with start(launch, self.logs) as running:
            filled_copy_s = running.await_readiness()
            _, models = running.request("GET", "/models")
        self.ready.append(Ready(empty_copy_s, filled_copy_s, _name_champions(json.loads(models))))
        told = f"ready after {empty_copy_s:.2f} s with an empty copy, {filled_copy_s:.2f} s with a filled one"
        self._tell(launch, "all", told)

    def measure_growth(self, launch: Launch, model: str, requests: int) -> Growth:
        """Put a number of requests on one model over 8 connections, and measure memory early and late."""
        answered, growth = 0, Growth()
        with start(launch, self.logs) as running:
            running.await_answers()
            # After a twentieth of the requests and after all of them: 10,000 and 200,000.
            for wanted, piece_s in ((requests // 20, 1), (requests, 10)):
                while answered < wanted:
                    load = _put_load(running, launch.questions[model], WARM_UP_CONNECTIONS, piece_s)
                    if load is None:
                        told = f"too slow to watch its memory over {requests:,} requests"
                        raise ModelyardError(f"{launch.title}: {told}")
                    answered += load.requests
                rss_mb = running.measure_memory()["rss_mb"]
                self._tell(launch, model, f"{rss_mb:6.1f} MB after {answered:,} requests")
                growth.append((answered, rss_mb))
        return growth

    def _measure_loads(self, running: Running, model: str) -> dict[int, Load]:
        launch, loads = running.launch, {}
        question = launch.questions[model]
        _put_load(running, question, WARM_UP_CONNECTIONS, max(1, self.seconds // 2))
        for connections in CONNECTIONS:
            load = _put_load(running, question, connections, self.seconds)
            if load is None:
                self._tell(launch, model, f"{connections:2} conn. left out: answers would take a minute")
                continue
            loads[connections] = load
            told = f"{load.requests_per_s:8,.1f}/s  p50 {load.p50_ms:8,.2f} ms  p99 {load.p99_ms:8,.2f} ms"
            self._tell(launch, model, f"{connections:2} conn. {told}")
        running.await_idleness()
        running.ask(question)
        return loads

    def _tell(self, launch: Launch, model: str, what: str) -> None:
        self.tell(f"{model:9}  {TITLES[launch.server]:38}  {what}")


def _name_champions(models: list[dict[str, Any]]) -> str:
    """Name what is served, such as "mnist 1 (float32)", from the answer of /models."""
    return " and ".join(
        f"{model['name']} {version['version']} ({version['precision']})"
        for model in models
        for version in model["versions"]
        if version["loaded"] and version["version"] == model["aliases"].get("champion")
    )


def _put_load(running: Running, question: Question, connections: int, seconds: int) -> Load | None:
    """Put a load on an idle server, for longer if it is slow; return None if it is too slow."""
    running.await_idleness()
    chosen_s = choose_seconds(seconds, running.ask(question), connections)
    if chosen_s is None:
        return None
    try:
        return put_load(f"http://{HOST}:{running.port}", question, connections, chosen_s)
    except ModelyardError as error:
        where = f"{running.launch.title}, {connections} connections"
        raise ModelyardError(f"{where}: {error}; its log is {running.log}") from None
