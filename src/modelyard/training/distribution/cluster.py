"""The workers of a training on several machines, as TensorFlow describes them in `TF_CONFIG`."""

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
    """The `host:port` of each worker, and this process's index among them; the first worker is the chief."""

    workers: tuple[str, ...] = ("",)
    index: int = 0

    def __post_init__(self) -> None:
        if len(set(self.workers)) != len(self.workers) or self.index not in range(len(self.workers)):
            raise UsageError(
                "TF_CONFIG: expected different workers and an index of one of them, "
                f"got {list(self.workers)} and {self.index}"
            )

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the outcome; the others only compute."""
        return self.index == 0

    def share(self, batch: "tf.Tensor") -> "tf.Tensor":
        """Return this worker's part of a batch; parts differ by one example at most."""
        import tensorflow as tf

        if len(self.workers) == 1:
            return batch
        count = tf.shape(batch)[0]
        begin, end = (count * number // len(self.workers) for number in (self.index, self.index + 1))
        return batch[begin:end]


SINGLE = Cluster()


def read_cluster(environment: Mapping[str, str] = os.environ) -> Cluster:
    """Return the workers that `TF_CONFIG` names; raises UsageError if it is missing or invalid."""
    text = environment.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        workers, task = config["cluster"]["worker"], config["task"]
        ports = [int(worker.rpartition(":")[2]) for worker in workers]
        if set(config["cluster"]) != {"worker"} or task["type"] != "worker":
            raise ValueError("expected workers only")
        if not all(0 < port < 2**16 for port in ports):
            raise ValueError("expected ports from 1 to 65535")
        return Cluster(tuple(workers), int(task["index"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(
            "train.strategy=multi_worker: expected TF_CONFIG in the environment, on each machine with its "
            'own index: {"cluster": {"worker": ["10.0.0.1:4000", "10.0.0.2:4000"]}, '
            f'"task": {{"type": "worker", "index": 0}}}}; got {text!r}'
        ) from None
