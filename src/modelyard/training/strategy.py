"""Where a network is trained: on one device, on all GPUs of this machine, or on several machines.

Keras 3.15 fits with MirroredStrategy and MultiWorkerMirroredStrategy of TensorFlow 2.21 only with some help,
which is all in here; what does not work without it stands beside each piece. With mirrored, Keras splits each
batch among the devices; with multi_worker each process makes its own share. One device gives the weights that
`none` gives, to the bit; several give them up to rounding where all batches divide evenly. Where the last one
does not, its parts weigh the same, though one has an example more. Each device normalises its own part of a
batch, and dropout draws the same for each.
"""

import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any

from modelyard.errors import ModelyardError, UsageError
from modelyard.quiet import import_tensorflow, quiet_tensorflow
from modelyard.training.cluster import Cluster, read_cluster
from modelyard.training.meeting import meet
from modelyard.training.steps import take_many_steps

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

Step = Callable[[Any], Mapping[str, "tf.Tensor"]]
# For the last worker to start.
WAIT_S = 180.0


@cache
def open_strategy(name: str) -> "tf.distribute.Strategy":
    """Return the strategy of this process; the first call with multi_worker waits for the other workers.

    GPUs are used only where CUDA_VISIBLE_DEVICES names them.

    Raises:
        ModelyardError: a worker did not come, or TensorFlow was used before.
    """
    if name == "multi_worker":
        return _join_workers(read_cluster(name))
    import_tensorflow()
    import tensorflow as tf

    return tf.distribute.MirroredStrategy() if name == "mirrored" else tf.distribute.get_strategy()


def scope(strategy: str) -> AbstractContextManager[Any]:
    """Return where a strategy's networks are compiled and fitted."""
    return nullcontext() if strategy == "none" else open_strategy(strategy).scope()


def run_outside(strategy: str, action: Callable[[], None]) -> None:
    """Do something from a callback of `fit` that makes variables: in a scope, all workers had to make them.

    A scope holds in its own thread alone. Keras makes an optimizer, to compare with, when it saves one.
    """
    if strategy == "none":
        action()
        return
    with ThreadPoolExecutor(1) as thread:
        thread.submit(action).result()


def build_in(strategy: str, build: Callable[[], "keras.Sequential"]) -> "keras.Sequential":
    """Build a network whose weights live where the strategy wants them."""
    with scope(strategy):
        network = build()
    if strategy == "none":
        return network
    network = _leave_scope(network)
    if strategy == "multi_worker":
        _give_metrics_an_axis(network)
    return network


def hand_out(batches: "tf.data.Dataset", strategy: str) -> "tf.data.Dataset":
    """Let Keras take batches as they are, where they are this worker's share already."""
    if strategy != "multi_worker":
        return batches
    return open_strategy(strategy).distribute_datasets_from_function(lambda _: batches)


def refuse_small_batches(strategy: str, batch_size: int, examples: int) -> None:
    """Refuse batches that leave a device without an example, or the devices with unequal parts.

    Raises:
        UsageError: they do.
    """
    devices = open_strategy(strategy).num_replicas_in_sync
    last = examples % batch_size or batch_size
    if batch_size % devices or last < devices:
        raise UsageError(
            f"train.batch_size: expected a multiple of {devices}, the devices of train.strategy={strategy}, "
            f"and as many in the last batch of {examples} examples, got {batch_size} and {last}"
        )


def refuse_several_devices(devices: int, workers: int) -> None:
    """Refuse workers with more than one device: batches are shared out by worker.

    Raises:
        UsageError: there are more.
    """
    if devices != workers:
        raise UsageError(
            f"train.strategy=multi_worker: expected one device for each of {workers} workers, got {devices}: "
            "name one GPU in CUDA_VISIBLE_DEVICES on each machine"
        )


@contextmanager
def fit_together(network: "keras.Model", strategy: str) -> Iterator[None]:
    """Make ready for `fit` in the body, and tell when a worker is lost.

    Raises:
        ModelyardError: a worker is lost.
    """
    import tensorflow as tf

    lost = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.InternalError)
    if strategy == "none":
        take_many_steps(network)
    else:
        # With more, TensorFlow 2.21 fails: "You must feed a value for placeholder tensor".
        network.steps_per_execution = 1
    try:
        with scope(strategy):
            if strategy != "none":
                _build_metrics(network, strategy)
            yield
    except lost as error:
        if strategy != "multi_worker":
            raise
        raise _tell_lost(error) from error


def refuse_disagreement(strategy: str, what: str) -> None:
    """Compare a text among the workers: they must have begun the same training at the same place.

    Raises:
        ModelyardError: another worker has another text.
    """
    if strategy != "multi_worker":
        return
    import tensorflow as tf

    own = float(zlib.crc32(what.encode()))
    mean = open_strategy(strategy).reduce("MEAN", tf.constant(own, tf.float64), axis=None)
    if float(mean) != own:
        raise ModelyardError(
            "train.strategy=multi_worker: expected the same parameters, data and checkpoint on all machines, "
            f"this one has {what}: let them share the folder of the checkpoints, or remove it"
        )


def _join_workers(cluster: Cluster) -> "tf.distribute.Strategy":
    """Connect this process with the other workers, once all are there."""
    meet(cluster.workers, cluster.index, WAIT_S)
    import_tensorflow(look_for_devices=False)
    import tensorflow as tf

    try:
        with quiet_tensorflow():
            joined = tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        raise _tell_lost(error) from error
    refuse_several_devices(joined.num_replicas_in_sync, len(cluster.workers))
    return joined


def _tell_lost(error: Exception) -> ModelyardError:
    return ModelyardError(
        "train.strategy=multi_worker: a worker is lost, or out of reach: start all of them again, the "
        f"training goes on from its last checkpoint ({type(error).__name__})"
    )


def _leave_scope(network: "keras.Sequential") -> "keras.Sequential":
    """Give layers whose weights are in a strategy's scope a network that was made outside it.

    Keras 3.15 builds a network that was made in a scope once more, from one batch whose parts it adds up:
    with parts of different sizes, and with MultiWorkerMirroredStrategy, that fails.
    """
    import keras

    image = keras.Input(network.input_shape[1:], name=network.inputs[0].name)
    return keras.Sequential([image, *network.layers], name=network.name)


def _give_metrics_an_axis(network: "keras.Sequential") -> None:
    """Let steps answer with vectors: between workers, Keras 3.15 takes the mean over an axis of scalars."""
    import tensorflow as tf

    def with_axis(step: Step) -> Step:
        return lambda data: {name: tf.reshape(value, (1,)) for name, value in step(data).items()}

    network.train_step, network.test_step = with_axis(network.train_step), with_axis(network.test_step)


def _build_metrics(network: "keras.Model", strategy: str) -> None:
    """Make the variables of loss and metrics before `fit` traces a step: several devices cannot by then."""
    import tensorflow as tf

    one = tf.zeros((1, *network.input_shape[1:])), tf.zeros((1,), tf.uint8)
    with quiet_tensorflow():
        open_strategy(strategy).run(network.test_step, args=(one,))
