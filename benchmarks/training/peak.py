"""`python -m benchmarks.training.peak`: print the fastest float32 matrix product of all cores, in FLOP/s."""

import time

from modelyard.quiet import import_tensorflow

SIDES, SECONDS_A_SIDE = (1024, 2048, 4096), 2.0


def measure_rate(side: int) -> float:
    """Multiply square matrices for two seconds, and return the best rate in FLOP/s."""
    import tensorflow as tf

    left, right = (tf.random.stateless_uniform((side, side), (0, seed)) for seed in (1, 2))
    best_s, stop = float("inf"), time.perf_counter() + SECONDS_A_SIDE
    while time.perf_counter() < stop:
        began_s = time.perf_counter()
        # Reading one number waits for the product.
        tf.matmul(left, right)[0, 0].numpy()
        best_s = min(best_s, time.perf_counter() - began_s)
    return 2.0 * side**3 / best_s


if __name__ == "__main__":
    import_tensorflow()
    print(max(map(measure_rate, SIDES)))
