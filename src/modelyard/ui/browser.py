"""A browser, if a person sits in front of a screen."""

import contextlib
import time
from collections.abc import Mapping

# If one of these is set, nobody looks at this machine's screen.
ELSEWHERE = ("CI", "SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY")
# A busy machine took more than a minute to start the server, and a link given up is never shown.
PATIENCE_S = 600.0


def has_screen(environment: Mapping[str, str], platform: str) -> bool:
    """Return whether a window would be seen; `platform` as in `sys.platform`."""
    if any(environment.get(name) for name in ELSEWHERE):
        return False
    return platform == "darwin" or any(environment.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def wait_for(server: str) -> bool:
    """Return whether the server answers, now or within ten minutes."""
    import requests

    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        # Until it listens, it refuses connections.
        with contextlib.suppress(requests.ConnectionError):
            if requests.get(f"{server.rstrip('/')}/health", timeout=PATIENCE_S).ok:
                return True
        time.sleep(0.3)
    return False
