"""Memory of a server: of its process and all processes that it started."""

import time
from dataclasses import dataclass

import psutil

IDLE_SHARE = 0.3
LOOK_S = 0.3
LONGEST_WAIT_S = 90.0


@dataclass(frozen=True)
class Memory:
    """In MB of 1,000,000 bytes.

    Attributes:
        rss_mb: pages in memory, added up; what processes share counts once for each.
        pss_mb: the same with shared pages divided among those who share them; the fairer of the two.
        processes: how many.
    """

    rss_mb: float
    pss_mb: float
    processes: int


def measure_memory(pid: int) -> Memory:
    """Measure a process and its descendants."""
    found = [process.memory_full_info() for process in list_tree(pid)]
    return Memory(sum(one.rss for one in found) / 1e6, sum(one.pss for one in found) / 1e6, len(found))


def list_tree(pid: int) -> list[psutil.Process]:
    """Return a process and its descendants, those that still live."""
    try:
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
    return [process for process in tree if process.status() != psutil.STATUS_ZOMBIE]


def wait_until_idle(pid: int) -> None:
    """Wait until a server has worked off what the load left in its queues, at most 90 s."""
    stop = time.monotonic() + LONGEST_WAIT_S
    busy_s = _count_processor_seconds(pid)
    while time.monotonic() < stop:
        time.sleep(LOOK_S)
        now_s = _count_processor_seconds(pid)
        if now_s - busy_s < IDLE_SHARE * LOOK_S:
            return
        busy_s = now_s


def _count_processor_seconds(pid: int) -> float:
    times = [process.cpu_times() for process in list_tree(pid)]
    return float(sum(one.user + one.system for one in times))
