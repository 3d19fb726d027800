"""Processes of this machine."""

import os


def is_running(pid: int) -> bool:
    """Say whether there is a process of this id, whoever owns it; asked the same way on every Unix."""
    try:
        # Signal 0 is not sent: only whether it could be is looked at.
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
