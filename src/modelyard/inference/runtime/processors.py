"""The processors of this machine."""

import os


def count_processors() -> int:
    """Return how many processors this process may use: a container may have fewer than its machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
