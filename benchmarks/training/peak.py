"""`python -m benchmarks.training.peak`: print the fastest float32 matrix product of all cores, in FLOP/s."""

import timeit

from modelyard.quiet import import_tensorflow

SIDES, TIMES = (1024, 2048, 4096), 7


def measure_rate(side: int) -> float:
    """Multiply square matrices, and return the best rate in FLOP/s."""
    import tensorflow as tf

    left, right = (tf.random.stateless_uniform((side, side), (0, seed)) for seed in (1, 2))
    times = TIMES * max(SIDES) // side
    # Reading one number waits for the product.
    seconds = timeit.repeat(lambda: tf.matmul(left, right)[0, 0].numpy(), number=1, repeat=times)
    return 2.0 * side**3 / min(seconds)


if __name__ == "__main__":
    import_tensorflow()
    print(max(map(measure_rate, SIDES)))
