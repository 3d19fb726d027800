"""Load: wrk beside the server, on the same machine."""

import json
import math
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving.questions import Question
from modelyard.errors import ModelyardError

SCRIPT = Path(__file__).with_name("post.lua")
TIMEOUT_S = 60
FEWEST_ANSWERS = 5
LONGEST = 8


@dataclass(frozen=True)
class Load:
    """What wrk counted: `requests` answers in `seconds`; half of them came within `p50_ms`."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def requests_per_s(self) -> float:
        """Throughput."""
        return self.requests / self.seconds


def find_wrk() -> str:
    """Return wrk's path.

    Raises:
        ModelyardError: it is not installed.
    """
    program = shutil.which("wrk")
    if program is None:
        raise ModelyardError(
            "expected the load generator wrk on PATH: apt-get install wrk, or brew install wrk"
        )
    return program


def put_load(address: str, question: Question, connections: int, seconds: int) -> Load:
    """Ask the same question again and again over a number of connections, each waiting for its answer.

    Args:
        address: such as "http://127.0.0.1:8080".
        question: what to send, and where.
        connections: that are kept open.
        seconds: of load.

    Raises:
        ModelyardError: an answer was an error, a connection failed, or nothing was answered.
    """
    command = [find_wrk(), "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", f"{TIMEOUT_S}s"]
    command += ["--latency", "-s", str(SCRIPT), address + question.path]
    command += ["--", str(question.body), question.content_type]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ModelyardError(f"wrk failed with code {result.returncode}: {result.stderr or result.stdout}")
    return parse_load(result.stdout)


def parse_load(output: str) -> Load:
    """Read the JSON line that `post.lua` ends with.

    Raises:
        ModelyardError: there is none, it counts errors, or it counts no answers.
    """
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise ModelyardError(f"expected a line of JSON from wrk, got {output[-500:]!r}")
    told = json.loads(lines[-1])
    failed = {kind: count for kind, count in told["failed"].items() if count}
    if failed:
        counts = ", ".join(f"{count} x {kind}" for kind, count in failed.items())
        raise ModelyardError(
            f"expected answers only, wrk counted errors beside {told['requests']} answers: {counts}"
        )
    if not told["requests"]:
        raise ModelyardError(f"not one answer in {told['duration_us'] / 1e6:.1f} s")
    return Load(told["requests"], told["duration_us"] / 1e6, told["p50_us"] / 1e3, told["p99_us"] / 1e3)


def choose_seconds(seconds: int, answer_s: float, connections: int) -> int:
    """Lengthen a measurement of a slow server, so that each connection gets an answer and five come at all.

    Args:
        seconds: that are wanted; at most 8 times that, or 10, is given.
        answer_s: what one answer takes, alone.
        connections: of the measurement.
    """
    needed = math.ceil(1.5 * answer_s * max(connections, FEWEST_ANSWERS))
    return max(seconds, min(needed, max(10, LONGEST * seconds)))
