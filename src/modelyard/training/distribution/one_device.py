"""One device: Keras needs no help. The other distributions override what is different for them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from modelyard.training.distribution.cluster import SINGLE, Cluster
from modelyard.training.distribution.kernels import import_for_training

if TYPE_CHECKING:
    import keras
    import tensorflow as tf


class OneDevice:
    """Trains on one device; `cluster` holds the workers that train together."""

    cluster: Cluster = SINGLE

    def start(self) -> None:
        """Import TensorFlow and set up the devices; with several workers, wait for all of them.

        A GPU is used only if CUDA_VISIBLE_DEVICES names it. Raises ModelyardError if a worker is missing, or
        TensorFlow was used before.
        """
        import_for_training()

    def scope(self) -> AbstractContextManager[Any]:
        """Return the scope in which networks are compiled and fitted."""
        return nullcontext()

    def build(self, build: Callable[[], "keras.Sequential"]) -> "keras.Sequential":
        """Build a network whose variables are on the devices."""
        return build()

    def distribute(self, batches: "tf.data.Dataset") -> "tf.data.Dataset":
        """Return the batches as `fit` takes them."""
        return batches

    def check_batches(self, batch_size: int, examples: int) -> None:
        """Raise a UsageError if a batch, or the last one of `examples`, cannot be divided evenly."""

    def check_same_start(self, start: str) -> None:
        """Raise a ModelyardError if another worker's `start`, a description, differs."""

    def run_outside_scope(self, action: Callable[[], None]) -> None:
        """Run, from a callback of `fit`, an action that creates variables."""
        action()

    @contextmanager
    def fitting(self, network: "keras.Model") -> Iterator[None]:
        """Prepare a compiled network for `fit` in the body; raises ModelyardError if a worker is lost."""
        from modelyard.training.steps import run_many_steps_per_call

        run_many_steps_per_call(network)
        yield
