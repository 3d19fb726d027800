"""Many steps in one call: what Keras' `fit` and `evaluate` call for a batch is set to take twenty of them.

Keras 3.15 can do so by itself (`steps_per_execution`), but builds the graph of a step twice for it, in half
a second that a short training does not get back.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

Logs = dict[str, "tf.Tensor"]
# Small networks gain a quarter of their time; a loss that is no number is seen so many steps late at most.
STEPS_PER_CALL = 20


def take_many_steps(network: "keras.Model") -> None:
    """Let a compiled network's `fit` and `evaluate` take as many steps a call as it was compiled for.

    Not for networks of a strategy: those steps are Keras' own.
    """
    import tensorflow as tf

    # Grappler's rewriting takes a tenth of a second, and these graphs get no faster by it.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    _build_metrics(network)
    network.train_function = _repeat(network, network.train_step)
    network.test_function = _repeat(network, network.test_step)


def _build_metrics(network: "keras.Model") -> None:
    """Make the variables of the metrics: a graph in which they are made is built a second time."""
    label, answer = np.zeros(1, np.uint8), np.zeros((1, *network.output_shape[1:]), np.float32)
    network.compute_metrics(None, label, answer)


def _repeat(
    network: "keras.Model", step: Callable[["tf.Tensor"], object]
) -> Callable[["tf.data.Iterator"], Logs]:
    """Return a function that takes steps up to its limit or the last batch, and returns the metrics then."""
    import tensorflow as tf

    limit = network.steps_per_execution

    def take_steps(batches: "tf.data.Iterator") -> Logs:
        def take_next(done: "tf.Tensor") -> "tf.Tensor":
            batch = batches.get_next_as_optional()

            def take() -> "tf.Tensor":
                step(batch.get_value())
                return done + 1

            return tf.cond(batch.has_value(), take, lambda: tf.constant(limit))

        tf.while_loop(lambda done: done < limit, take_next, [tf.constant(0)], parallel_iterations=1)
        logs: Logs = network.get_metrics_result()
        return logs

    repeat: Callable[[tf.data.Iterator], Logs] = tf.function(take_steps, autograph=False)
    return repeat
