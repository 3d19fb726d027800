"""Workers meet before TensorFlow connects them.

Where one does not come, TensorFlow 2.21 waits for minutes or for ever, and does not heed SIGTERM.
"""

import socket
import time
from collections.abc import Sequence

from modelyard.errors import ModelyardError

# Between two tries to reach a worker that has not started yet.
PAUSE_S = 0.2


def meet(workers: Sequence[str], index: int, wait_s: float) -> None:
    """Return once each of the workers has reached each other one; all of them call this.

    Args:
        workers: `host:port` of each; the port of this one is free again afterwards.
        index: of this one.
        wait_s: for the last one to come.

    Raises:
        ModelyardError: one did not come, or this one's port is taken.
    """
    others = set(range(len(workers))) - {index}
    to_reach, to_hear, end = set(others), set(others), time.monotonic() + wait_s
    with _listen(workers[index]) as door:
        while to_reach or to_hear:
            if time.monotonic() > end:
                missing = ", ".join(workers[other] for other in sorted(to_reach | to_hear))
                raise ModelyardError(
                    f"train.strategy=multi_worker: expected {len(workers)} workers within {wait_s:g} s, "
                    f"{missing} did not come: start the same command on each machine, with its own index in "
                    "TF_CONFIG"
                )
            to_reach -= {other for other in to_reach if _call(workers[other], index)}
            to_hear -= _hear(door)


def _listen(worker: str) -> socket.socket:
    port = int(worker.rpartition(":")[2])
    try:
        door = socket.create_server(("", port))
    except OSError as error:
        raise ModelyardError(
            f"TF_CONFIG: expected a free port for this worker, {port} is not ({error})"
        ) from None
    door.settimeout(PAUSE_S)
    return door


def _call(worker: str, index: int) -> bool:
    """Tell another worker that this one is there."""
    host, _, port = worker.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=3) as line:
            line.sendall(f"{index}\n".encode())
    except OSError:
        return False
    return True


def _hear(door: socket.socket) -> set[int]:
    """Return who has called, if anybody has."""
    try:
        line, _ = door.accept()
        with line:
            line.settimeout(3)
            return {int(line.recv(16))}
    except (OSError, ValueError):
        return set()
