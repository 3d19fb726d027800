"""Processes of this machine."""

import os
import signal
import sys
import threading
from pathlib import Path


def is_running(pid: int) -> bool:
    """Say whether there is a process of this id, whoever owns it; asked the same way on every Unix.

    psutil's `pid_exists` does the same, but the service's image has no psutil.
    """
    try:
        # Signal 0 is not sent: the system only checks whether it could be.
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def own_environment() -> dict[str, str]:
    """Return the environment for a process that itself starts `python` and its scripts by their names.

    Both come from this interpreter's folder, even if its environment is not activated.
    """
    folders = (str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))
    return {**os.environ, "PATH": os.pathsep.join(folders)}


def end_with_parent() -> None:
    """Make this process, which `multiprocessing` started, end with its parent, however that ends.

    Ctrl-C is left to the parent, because it reaches every process of a terminal.
    """
    from multiprocessing import parent_process

    def follow() -> None:
        # Nothing else tells a process that its parent was killed.
        if parent := parent_process():
            parent.join()
            os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=follow, daemon=True).start()
