"""A rendezvous of all workers before TensorFlow connects them.

If a worker is missing, TensorFlow 2.21 waits for minutes or forever, and ignores SIGTERM.
"""

import socket
import time

from modelyard.errors import ModelyardError
from modelyard.training.distribution.cluster import Cluster

# Between two attempts to reach a worker that has not started yet.
PAUSE_S = 0.2


def wait_for_workers(cluster: Cluster, wait_s: float) -> None:
    """Return as soon as this worker has reached every other one, and every other one has reached it.

    All workers call this. Each one's port is free again afterwards, for TensorFlow. Raises ModelyardError if
    a worker is missing after `wait_s` seconds, or this one's port is taken.
    """
    others = set(range(len(cluster.workers))) - {cluster.index}
    unreached, unheard, end = set(others), set(others), time.monotonic() + wait_s
    with _listen(cluster.workers[cluster.index]) as server:
        while unreached or unheard:
            if time.monotonic() > end:
                missing = ", ".join(cluster.workers[other] for other in sorted(unreached | unheard))
                raise ModelyardError(
                    f"train.strategy=multi_worker: expected {len(cluster.workers)} workers within "
                    f"{wait_s:g} s, {missing} did not start: start the same command on each machine, with "
                    "its own index in TF_CONFIG"
                )
            unreached -= {other for other in unreached if _announce(cluster.index, cluster.workers[other])}
            unheard -= _accept(server)


def _listen(worker: str) -> socket.socket:
    port = int(worker.rpartition(":")[2])
    try:
        server = socket.create_server(("", port))
    except OSError as error:
        raise ModelyardError(
            f"TF_CONFIG: expected a free port for this worker, {port} is not ({error}): choose another one"
        ) from None
    server.settimeout(PAUSE_S)
    return server


def _announce(index: int, worker: str) -> bool:
    """Send this worker's index to another one; return whether it could be reached."""
    host, _, port = worker.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=3) as connection:
            connection.sendall(f"{index}\n".encode())
    except OSError:
        return False
    return True


def _accept(server: socket.socket) -> set[int]:
    """Return the index that another worker sends, or nothing if none connects."""
    try:
        connection, _ = server.accept()
        with connection:
            connection.settimeout(3)
            return {int(connection.recv(16))}
    except (OSError, ValueError):
        return set()
