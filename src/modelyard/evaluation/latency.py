"""The time of one answer on this machine."""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FEWEST_RUNS = 10


@dataclass(frozen=True)
class Latency:
    """The time of one answer in milliseconds: half of `runs` took at most `p50_ms`, 99 % at most `p99_ms`."""

    p50_ms: float
    p99_ms: float
    runs: int


def measure_latency(answer: Callable[[], object], runs: int, warmup: int, budget_s: float = 3.0) -> Latency:
    """Call `answer` `runs` times, at least once, one after another, after `warmup` calls.

    Percentiles between two runs are interpolated; with fewer than 100 runs the p99 is close to the slowest.
    Measuring ends after `budget_s` seconds, but never before 10 calls; the warm-up gets a quarter of it.
    """
    _repeat(answer, warmup, budget_s / 4, fewest=0)
    milliseconds = _repeat(answer, runs, budget_s, fewest=FEWEST_RUNS)
    p50, p99 = np.percentile(milliseconds, [50, 99])
    return Latency(float(p50), float(p99), len(milliseconds))


def _repeat(answer: Callable[[], object], times: int, budget_s: float, fewest: int) -> list[float]:
    milliseconds: list[float] = []
    stop_ns = time.perf_counter_ns() + budget_s * 1e9
    while len(milliseconds) < times:
        start_ns = time.perf_counter_ns()
        if start_ns >= stop_ns and len(milliseconds) >= fewest:
            break
        answer()
        milliseconds.append((time.perf_counter_ns() - start_ns) / 1e6)
    return milliseconds


def name_processor() -> str:
    """Return the name of this machine's processor: a latency means nothing without it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
