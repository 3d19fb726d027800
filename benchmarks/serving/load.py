"""Load: wrk beside the server, on the same machine."""

import json
import math
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving.questions import Question
from modelyard.errors import ModelyardError

SCRIPT = Path(__file__).with_name("post.lua")
FEWEST_ANSWERS, TIMEOUT_S = 5, 60


@dataclass(frozen=True)
class Load:
    """What wrk counted; half of the answers came within `p50_ms`."""

    requests: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float


def find_wrk() -> str:
    """Return wrk's path."""
    if program := shutil.which("wrk"):
        return program
    raise ModelyardError("expected the load generator wrk on PATH: apt-get install wrk, or brew install wrk")


def put_load(
    address: str, question: Question, connections: int, seconds: int, bodies: Path | None = None
) -> Load:
    """Ask a question again and again over some connections, each of which waits for its answer.

    `bodies`, which `write_bodies` wrote, are sent one after the other instead of the question's own.
    """
    command = [find_wrk(), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", f"{TIMEOUT_S}s"]
    command += ["--latency", "-s", str(SCRIPT), address + question.path]
    command += ["--", str(question.body), question.content_type, *([str(bodies)] if bodies else [])]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ModelyardError(f"wrk failed with code {result.returncode}: {result.stderr or result.stdout}")
    return parse_load(result.stdout)


def write_bodies(path: Path, bodies: Iterable[bytes]) -> None:
    """Write bodies as `post.lua` reads them: each after its length and the end of a line."""
    with path.open("wb") as file:
        for body in bodies:
            file.write(b"%d\n%b" % (len(body), body))


def parse_load(output: str) -> Load:
    """Read the JSON line that `post.lua` prints last; refuse a load with errors or without answers."""
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise ModelyardError(f"expected a line of JSON from wrk, got {output[-500:]!r}")
    told = json.loads(lines[-1])
    requests, seconds = told["requests"], told["duration_us"] / 1e6
    if failed := ", ".join(f"{count} x {kind}" for kind, count in told["failed"].items() if count):
        raise ModelyardError(f"expected answers only, wrk counted errors beside {requests} answers: {failed}")
    if not requests:
        raise ModelyardError(f"not one answer in {seconds:.1f} s")
    return Load(requests, requests / seconds, told["p50_us"] / 1e3, told["p99_us"] / 1e3)


def choose_seconds(seconds: int, answer_s: float, connections: int) -> int | None:
    """Return the seconds of a load, long enough for two answers to each connection and five in all.

    None if that takes more than a minute, after which the servers and wrk give up a request.
    """
    needed = max(seconds, math.ceil(2 * answer_s * max(connections, FEWEST_ANSWERS)))
    return needed if needed <= TIMEOUT_S else None
