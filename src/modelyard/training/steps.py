"""Many steps in one call of TensorFlow, through two attributes that Keras does not document.

`fit` and `evaluate` call `train_function` and `test_function` of a network, and only create them if they are
None. Ours run twenty steps. Keras can do so too (`steps_per_execution`), but then builds the graph of a step
twice, which takes half a second. Checked with Keras 3.15; a test fails if another version ignores them.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

Logs = dict[str, tf.Tensor]


def run_many_steps_per_call(network: keras.Model) -> None:
    """Let `fit` and `evaluate` run as many steps in a call as the network was compiled for, on one device."""
    # Grappler takes a tenth of a second, and does not make these graphs faster.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    # A graph that creates the metrics' variables would be built a second time, so create them here.
    label, scores = np.zeros(1, np.uint8), np.zeros((1, *network.output_shape[1:]), np.float32)
    network.compute_metrics(None, label, scores)
    network.train_function = _repeat(network, network.train_step)
    network.test_function = _repeat(network, network.test_step)


def _repeat(network: keras.Model, step: Callable[[tf.Tensor], object]) -> Callable[[tf.data.Iterator], Logs]:
    """Return a function that runs steps until its limit or the last batch, and returns the metrics."""
    limit = network.steps_per_execution

    def run_steps(batches: tf.data.Iterator) -> Logs:
        def run_next(done: tf.Tensor) -> tf.Tensor:
            batch = batches.get_next_as_optional()

            def run() -> tf.Tensor:
                step(batch.get_value())
                return done + 1

            return tf.cond(batch.has_value(), run, lambda: tf.constant(limit))

        tf.while_loop(lambda done: done < limit, run_next, [tf.constant(0)], parallel_iterations=1)
        logs: Logs = network.get_metrics_result()
        return logs

    repeat: Callable[[tf.data.Iterator], Logs] = tf.function(run_steps, autograph=False)
    return repeat
