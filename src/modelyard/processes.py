"""Processes of this machine."""

import os
import sys
from pathlib import Path


def is_running(pid: int) -> bool:
    """Say whether there is a process of this id, whoever owns it; asked the same way on every Unix.

    psutil's `pid_exists` does the same; the service asks too, and its image does without psutil.
    """
    try:
        # Signal 0 is not sent: only whether it could be is looked at.
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def own_environment() -> dict[str, str]:
    """Return the environment for a process that itself starts `python` and its scripts by their names.

    They are those of this interpreter's own folder, also where its environment was not activated.
    """
    folders = (str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))
    return {**os.environ, "PATH": os.pathsep.join(folders)}
