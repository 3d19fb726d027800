"""Several machines: each worker prepares and takes its own share of every batch."""

import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from modelyard.errors import ModelyardError, UsageError
from modelyard.quiet import quiet_tensorflow
from modelyard.training.distribution.cluster import Cluster
from modelyard.training.distribution.kernels import import_for_training
from modelyard.training.distribution.mirrored import Mirrored
from modelyard.training.distribution.rendezvous import wait_for_workers

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

Step = Callable[[Any], Mapping[str, "tf.Tensor"]]
WAIT_S = 180.0


class MultiWorker(Mirrored):
    """Trains on several machines, one device each."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    @cached_property
    def strategy(self) -> "tf.distribute.Strategy":
        """TensorFlow's strategy; the first use waits for the other workers."""
        wait_for_workers(self.cluster, WAIT_S)
        import_for_training(look_for_devices=False)
        import tensorflow as tf

        try:
            with quiet_tensorflow():
                joined = tf.distribute.MultiWorkerMirroredStrategy()
        except tf.errors.OpError as error:
            raise _describe_loss(error) from error
        check_devices(joined.num_replicas_in_sync, len(self.cluster.workers))
        return joined

    def build(self, build: Callable[[], "keras.Sequential"]) -> "keras.Sequential":
        """Build the network, and let its steps return vectors."""
        import tensorflow as tf

        def with_axis(step: Step) -> Step:
            return lambda data: {name: tf.reshape(value, (1,)) for name, value in step(data).items()}

        network = super().build(build)
        # Between workers Keras averages what a step returns over its first axis, which scalars lack.
        network.train_step, network.test_step = with_axis(network.train_step), with_axis(network.test_step)
        return network

    def distribute(self, batches: "tf.data.Dataset") -> "tf.data.Dataset":
        """Let Keras take the batches undivided: they are this worker's share already."""
        return self.strategy.distribute_datasets_from_function(lambda _: batches)

    def check_same_start(self, start: str) -> None:
        """Compare the descriptions of all workers."""
        import tensorflow as tf

        own = float(zlib.crc32(start.encode()))
        if float(self.strategy.reduce("MEAN", tf.constant(own, tf.float64), axis=None)) != own:
            raise ModelyardError(
                "train.strategy=multi_worker: expected the same parameters, data and checkpoint on all "
                f"machines, this one has {start}: share the checkpoint folder, or remove it everywhere"
            )

    @contextmanager
    def fitting(self, network: "keras.Model") -> Iterator[None]:
        """Prepare as for several devices, and report a lost worker."""
        import tensorflow as tf

        try:
            with super().fitting(network):
                yield
        except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.InternalError) as error:
            raise _describe_loss(error) from error


def check_devices(devices: int, workers: int) -> None:
    """Raise a UsageError unless each worker has one device, since batches are divided among workers."""
    if devices != workers:
        raise UsageError(
            f"train.strategy=multi_worker: expected one device for each of {workers} workers, got {devices}: "
            "name one GPU in CUDA_VISIBLE_DEVICES on each machine"
        )


def _describe_loss(error: Exception) -> ModelyardError:
    return ModelyardError(
        f"train.strategy=multi_worker: lost the connection to a worker ({type(error).__name__}): start all "
        "workers again, training continues from the last checkpoint"
    )
