"""The choice of a distribution by the name in `train.strategy`, once for each process."""

from functools import cache

from modelyard.training.distribution.cluster import read_cluster
from modelyard.training.distribution.mirrored import Mirrored
from modelyard.training.distribution.multi_worker import MultiWorker
from modelyard.training.distribution.one_device import OneDevice


@cache
def choose_distribution(strategy: str) -> OneDevice:
    """Return the distribution for `train.strategy`; raises UsageError if TF_CONFIG lacks its workers."""
    if strategy == "multi_worker":
        return MultiWorker(read_cluster())
    return Mirrored() if strategy == "mirrored" else OneDevice()
