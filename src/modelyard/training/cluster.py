"""The workers of a training on several machines, as TensorFlow names them in `TF_CONFIG`."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelyard.errors import UsageError

if TYPE_CHECKING:
    import tensorflow as tf


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
        ports = [int(worker.rpartition(":")[2]) for worker in workers]
        if not all(0 < port < 2**16 for port in ports):
            raise ValueError("ports")
        return Cluster(tuple(workers), int(task["index"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(
            "train.strategy=multi_worker: expected TF_CONFIG in the environment, on each machine with its "
            'own index: {"cluster": {"worker": ["10.0.0.1:4000", "10.0.0.2:4000"]}, '
            f'"task": {{"type": "worker", "index": 0}}}}; got {text!r}'
        ) from None
