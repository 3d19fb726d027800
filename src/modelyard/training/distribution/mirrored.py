"""All GPUs of this machine: each has a copy of the network and takes a part of every batch.

Keras 3.15 needs some help to fit with MirroredStrategy and MultiWorkerMirroredStrategy of TensorFlow 2.21;
the comments say what fails without it. Several devices give the weights of one device up to rounding if they
divide all batches evenly. If the last batch has unequal parts, each part still has the same weight. Batch
normalization sees one device's part only, and dropout draws the same values on every device.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from modelyard.errors import UsageError
from modelyard.quiet import quiet_tensorflow
from modelyard.training.distribution.kernels import import_for_training
from modelyard.training.distribution.one_device import OneDevice

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


class Mirrored(OneDevice):
    """Trains on all GPUs that CUDA_VISIBLE_DEVICES names; Keras splits each batch among them."""

    @cached_property
    def strategy(self) -> "tf.distribute.Strategy":
        """TensorFlow's strategy; the first use starts it."""
        import_for_training()
        import tensorflow as tf

        return tf.distribute.MirroredStrategy()

    def start(self) -> None:
        """Find the GPUs."""
        _ = self.strategy

    def scope(self) -> AbstractContextManager[Any]:
        """Return the strategy's scope."""
        scope: AbstractContextManager[Any] = self.strategy.scope()
        return scope

    def build(self, build: Callable[[], "keras.Sequential"]) -> "keras.Sequential":
        """Build a network with a copy of its variables on each device."""
        import keras

        with self.scope():
            built = build()
        # Keras builds a network that was made in a scope again, from one batch whose parts it adds up. That
        # fails if the parts have different sizes, and always with several workers. So wrap the same layers
        # in a network that was made outside.
        image = keras.Input(built.input_shape[1:], name=built.inputs[0].name)
        return keras.Sequential([image, *built.layers], name=built.name)

    def check_batches(self, batch_size: int, examples: int) -> None:
        """Refuse batches that leave a device without an example, or full batches of unequal parts."""
        devices = self.strategy.num_replicas_in_sync
        last = examples % batch_size or batch_size
        if batch_size % devices or last < devices:
            raise UsageError(
                f"train.batch_size: expected a multiple of the {devices} devices, and at least {devices} of "
                f"the {examples} examples in the last batch, got {batch_size} with {last} in the last batch: "
                "change train.batch_size or train.images"
            )

    def run_outside_scope(self, action: Callable[[], None]) -> None:
        """Run the action in a thread, which no scope of this one reaches."""
        # In a scope all workers would have to create the variables, but only the chief saves the network, and
        # Keras creates an optimizer when it saves one.
        with ThreadPoolExecutor(1) as thread:
            thread.submit(action).result()

    @contextmanager
    def fitting(self, network: "keras.Model") -> Iterator[None]:
        """Enter the scope, and create what `fit` cannot create in it."""
        # With more, TensorFlow fails: "You must feed a value for placeholder tensor".
        network.steps_per_execution = 1
        with self.scope():
            self._create_metrics(network)
            yield

    def _create_metrics(self, network: "keras.Model") -> None:
        """Create the variables of loss and metrics, which `fit` cannot create on several devices."""
        import tensorflow as tf

        example = tf.zeros((1, *network.input_shape[1:])), tf.zeros((1,), tf.uint8)
        with quiet_tensorflow():
            self.strategy.run(network.test_step, args=(example,))
