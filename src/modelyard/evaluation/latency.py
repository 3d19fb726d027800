"""How long one answer takes."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

FEWEST_RUNS = 10


@dataclass(frozen=True)
class Latency:
    """The time of one answer in milliseconds: half of `runs` took at most `p50_ms`, 99 % at most `p99_ms`."""

    p50_ms: float
    p99_ms: float
    runs: int


def measure_latency(answer: Callable[[], object], runs: int, warmup: int, budget_s: float = 3.0) -> Latency:
    """Call `answer` again and again, one call at a time, and give the percentiles of its time.

    Percentiles between two runs are interpolated; with fewer than 100 runs the p99 is close to the slowest.

    Args:
        answer: answers one image.
        runs: how many calls to measure, at least 1.
        warmup: how many calls to make before.
        budget_s: a slow model is stopped after so many seconds of measured calls, but never before 10 calls;
            the warm-up gets a quarter of it. `Latency.runs` says how many calls were measured.
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
