"""Where a network is trained: here, on all processors of this machine, or on several machines at once."""

import json
import os
import socket
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from modelyard.errors import ModelyardError, UsageError
from modelyard.quiet import import_tensorflow, quiet_tensorflow

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

Step = Callable[[Any], Mapping[str, "tf.Tensor"]]
# How long a worker waits for the others to start.
WAIT_S = 300.0


@dataclass(frozen=True)
class Cluster:
    """The workers of one training.

    Attributes:
        workers: `host:port` of each.
        index: which of them this process is; the first one is the chief, who alone writes.
    """

    workers: tuple[str, ...] = ("",)
    index: int = 0

    def __post_init__(self) -> None:
        """Refuse what would let workers wait for one that cannot come."""
        if len(set(self.workers)) != len(self.workers) or self.index not in range(len(self.workers)):
            raise UsageError(
                "TF_CONFIG: expected different workers and an index of one of them, "
                f"got {list(self.workers)} and {self.index}"
            )

    @property
    def is_chief(self) -> bool:
        """Whether this process is the one that writes."""
        return self.index == 0

    def share(self, batch: "tf.Tensor") -> "tf.Tensor":
        """Return this worker's part of a batch: an equal one, or one example more."""
        import tensorflow as tf

        if len(self.workers) == 1:
            return batch
        count = tf.shape(batch)[0]
        begin, end = (count * number // len(self.workers) for number in (self.index, self.index + 1))
        return batch[begin:end]


ALONE = Cluster()


def read_cluster(strategy: str, environment: Mapping[str, str] = os.environ) -> Cluster:
    """Return the workers that `TF_CONFIG` names for `train.strategy`: one, unless that is multi_worker.

    Needs no TensorFlow.

    Raises:
        UsageError: multi_worker, and TF_CONFIG is missing or says something else.
    """
    if strategy != "multi_worker":
        return ALONE
    text = environment.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        workers, task = config["cluster"]["worker"], config["task"]
        if set(config["cluster"]) != {"worker"} or task["type"] != "worker":
            raise ValueError("workers alone")
        return Cluster(tuple(str(worker) for worker in workers), int(task["index"]))
    except (ValueError, KeyError, TypeError):
        raise UsageError(
            "train.strategy=multi_worker: expected TF_CONFIG in the environment, on each machine with its "
            'own index: {"cluster": {"worker": ["10.0.0.1:4000", "10.0.0.2:4000"]}, '
            f'"task": {{"type": "worker", "index": 0}}}}; got {text!r}'
        ) from None


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


@contextmanager
def fit_together(network: "keras.Model", strategy: str) -> Iterator[None]:
    """Make ready for `fit` in the body, and tell when a worker is lost.

    Raises:
        ModelyardError: a worker is lost.
    """
    import tensorflow as tf

    lost = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.InternalError)
    if strategy != "none":
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
        raise ModelyardError(
            "train.strategy=multi_worker: a worker is lost, or out of reach: start all of them again, the "
            f"training goes on from its last checkpoint ({str(error).splitlines()[0]})"
        ) from error


def refuse_disagreement(strategy: str, what: str) -> None:
    """Compare a text among the workers: they must have begun the same training at the same place.

    Raises:
        ModelyardError: another worker has another text.
    """
    if strategy != "multi_worker":
        return
    import tensorflow as tf

    opened, own = open_strategy(strategy), float(zlib.crc32(what.encode()))
    mean = opened.reduce("MEAN", opened.run(lambda: tf.constant(own, tf.float64)), axis=None)
    if float(mean) != own:
        raise ModelyardError(
            "train.strategy=multi_worker: expected the same parameters, data and checkpoint on all machines, "
            f"this one has {what}: let them share the folder of the checkpoints, or remove it"
        )


def _join_workers(cluster: Cluster) -> "tf.distribute.Strategy":
    """Wait for the other workers, in a thread: TensorFlow itself would wait for ever."""
    import_tensorflow(look_for_devices=False)
    import tensorflow as tf

    outcome: list[Any] = []

    def join() -> None:
        try:
            outcome.append(tf.distribute.MultiWorkerMirroredStrategy())
        except Exception as error:
            outcome.append(error)

    waiting = threading.Thread(target=join, daemon=True)
    with quiet_tensorflow():
        waiting.start()
        waiting.join(WAIT_S)
        if not outcome or isinstance(outcome[0], Exception):
            reason = str(outcome[0]).splitlines()[0] if outcome else "no answer"
            raise ModelyardError(
                f"train.strategy=multi_worker: expected {len(cluster.workers)} workers within {WAIT_S:.0f} "
                f"s, {_find_missing(cluster) or 'one'} did not come ({reason}): start the same command on "
                "each machine, with its own index in TF_CONFIG"
            )
    return outcome[0]


def _find_missing(cluster: Cluster) -> str:
    """Name the workers whose port nobody listens on."""
    missing = []
    for worker in cluster.workers:
        host, _, port = worker.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=3).close()
        except (OSError, ValueError):
            missing.append(worker)
    return ", ".join(missing)


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
