"""The limits of the service; frozen, each with a default."""

import math
import re
from dataclasses import dataclass, field, fields
from typing import Any

from modelyard.inference.runtime.processors import count_processors

# On a command line, everybody on the machine could read the token.
TOKEN = "MODELYARD_TOKEN"  # noqa: S105  # the variable's name, not a token
# Nothing is answered within less than a millisecond; timers overflow somewhere beyond a day.
_LEAST_S, _MOST_S = 0.001, 86_400.0
# What every client can send in a header unchanged.
_TOKEN = re.compile(r"[!-~]+")


def _limit(default: Any, about: str, least: float, most: float = math.inf) -> Any:
    return field(default=default, metadata={"about": about, "least": least, "most": most})


@dataclass(frozen=True)
class Settings:
    """Limits of one process of the service; "about" in a field's metadata is the help of its option.

    At most `(max_concurrent + max_queued) * max_body_bytes` of requests are in memory at once. While an image
    is decoded, each of its pixels takes up to 12 bytes. `keep_alive_s` should be longer than load balancers
    keep an unused connection. `token` is expected as `Authorization: Bearer ...`; None lets everybody in.
    Raises ValueError if a limit is out of its range (seconds: at most a day), or the token is not visible
    ASCII.
    """

    max_body_bytes: int = _limit(16_000_000, "bytes of a request; more is a 413", 1)
    max_pixels: int = _limit(25_000_000, "pixels of an image, by its header; with more it gets an error", 1)
    max_items: int = _limit(256, "images in a request; more is a 413", 1)
    max_concurrent: int = _limit(max(2, count_processors()), "computations at once, in each process", 1)
    max_queued: int = _limit(64, "requests waiting besides; one more gets a 503", 0)
    max_connections: int = _limit(
        1000, "connections at once; one more replaces an idle one, or its requests get a 503", 1
    )
    headers_s: float = _limit(
        10.0, "seconds for a request's headers; then its connection is closed", _LEAST_S, _MOST_S
    )
    deadline_s: float = _limit(30.0, "seconds for a request; after that a 504", _LEAST_S, _MOST_S)
    keep_alive_s: float = _limit(75.0, "seconds that an idle connection stays open", _LEAST_S, _MOST_S)
    poll_s: float = _limit(5.0, "seconds between two looks at the registry", _LEAST_S, _MOST_S)
    drain_s: float = _limit(1.0, "seconds from SIGTERM until the port closes", 0, _MOST_S)
    token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for name, limit in LIMITS.items():
            value, least, most = getattr(self, name), limit["least"], limit["most"]
            if not least <= value <= most:
                up_to = f" to {most:g}" if math.isfinite(most) else " or more"
                raise ValueError(f"expected {name} of {least:g}{up_to}, got {value}")
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise ValueError(
                f"expected {TOKEN} of visible ASCII characters, without blanks and line breaks: give it "
                "another value, or unset it to let everybody in"
            )


LIMITS = {one.name: one.metadata for one in fields(Settings) if one.metadata}
