"""`python -m benchmarks.training.peak`: the fastest float32 matrix product of all cores; prints JSON."""

import time
from typing import Any

from benchmarks.training.entry import run_measurement
from modelyard.quiet import import_tensorflow

SIDES = (1024, 2048, 4096)
SECONDS_A_SIDE = 2.0


def measure_peak() -> dict[str, Any]:
    """Multiply square matrices, each size for two seconds, and return the best rate in FLOP/s."""
    import_tensorflow()
    return {"flops_per_s": max(_measure_rate(side) for side in SIDES)}


def _measure_rate(side: int) -> float:
    import tensorflow as tf

    left, right = (tf.random.stateless_uniform((side, side), (0, seed)) for seed in (1, 2))
    best_s, stop = float("inf"), time.perf_counter() + SECONDS_A_SIDE
    while time.perf_counter() < stop:
        began = time.perf_counter()
        # One number of the product, so that it is there.
        tf.matmul(left, right)[0, 0].numpy()
        best_s = min(best_s, time.perf_counter() - began)
    return 2.0 * side**3 / best_s


if __name__ == "__main__":
    run_measurement(lambda _: measure_peak())
