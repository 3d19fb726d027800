"""What the service allows; frozen, with a default for everything."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

TOKEN = "MODELYARD_TOKEN"  # noqa: S105  # the variable's name, not a token


@dataclass(frozen=True)
class Settings:
    """Limits of one process of the service.

    At most `(max_concurrent + max_queued) * max_body_bytes` of requests are in memory at once.

    Attributes:
        max_body_bytes: of a request; more is answered with 413.
        max_pixels: of an image, by its header; more is an error of that image. While it is decoded, a pixel
            takes up to 12 bytes.
        max_items: images in one request; more is answered with 413.
        max_concurrent: requests that are computed in threads at once; at least 1.
        max_queued: requests that may wait beside those; one more is answered with 503.
        max_connections: open at once. For one more, the one that has rested longest is closed; where none has
            rested for a second, its requests are answered with 503.
        headers_s: for the headers of a request, from its first byte; after that its connection is closed.
        keep_alive_s: for the next request of a client; longer than the load balancers before us keep a
            connection that they do not use.
        deadline_s: for a request, from its headers to its answer; after that 504.
        drain_s: after SIGTERM, for load balancers and clients to turn away before the port is closed.
        token: expected as `Authorization: Bearer ...`, of visible ASCII; None lets everybody in. Never shown.

    Raises:
        ValueError: a limit is out of its range (seconds: a day at most), or the token has other characters.
    """

    max_body_bytes: int = 16_000_000
    max_pixels: int = 25_000_000
    max_items: int = 256
    max_concurrent: int = field(default_factory=lambda: max(2, _count_cores()))
    max_queued: int = 64
    max_connections: int = 1000
    headers_s: float = 10.0
    keep_alive_s: float = 75.0
    deadline_s: float = 30.0
    drain_s: float = 1.0
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if not least <= value <= _MOST.get(name, value):
                most = f" to {_MOST[name]:g}" if name in _MOST else " or more"
                raise ValueError(f"expected {name} of {least:g}{most}, got {value}")
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise ValueError(
                f"expected {TOKEN} of visible ASCII characters, without blanks and line breaks: give it "
                "another value, or unset it to let everybody in"
            )


# Below a millisecond nothing is answered; beyond a day a deadline is none, and timers overflow at some point.
_LEAST_S, _MOST_S = 0.001, 86_400.0
_LEAST: Mapping[str, float] = {
    "max_body_bytes": 1,
    "max_pixels": 1,
    "max_items": 1,
    "max_concurrent": 1,
    "max_queued": 0,
    "max_connections": 1,
    "headers_s": _LEAST_S,
    "keep_alive_s": _LEAST_S,
    "deadline_s": _LEAST_S,
    "drain_s": 0,
}
_MOST: Mapping[str, float] = {name: _MOST_S for name in _LEAST if name.endswith("_s")}
# What every client can send in a header as it is.
_TOKEN = re.compile(r"[!-~]+")


def _count_cores() -> int:
    """Return how many cores this process may use; a machine may have more."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def read_token(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return MODELYARD_TOKEN, which a command line would show to everybody on the machine."""
    return environment.get(TOKEN)
