"""Refusals of requests, in any protocol."""

from collections.abc import Mapping
from types import MappingProxyType

# A message may quote a name from a request or the registry, which may be of any length.
_MOST_CHARACTERS = 1000
# Of every refusal with 503; seconds.
RETRY_AFTER: Mapping[str, str] = MappingProxyType({"retry-after": "1"})


class Refusal(Exception):  # noqa: N818  # an answer to a client, not a failure
    """A request cannot be answered.

    Attributes:
        status: of HTTP, 4xx or 5xx.
        message: one line of at most 1,000 characters, without anything of the request's body.
        index: of the image at fault, if it is one.
        headers: to add to the answer.
    """

    def __init__(
        self, status: int, message: str, index: int | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message[:_MOST_CHARACTERS]
        self.index = index
        self.headers = headers or {}


def busy(message: str) -> Refusal:
    """Make a 503 that says when to try again."""
    return Refusal(503, message, headers=RETRY_AFTER)


def too_large(message: str) -> Refusal:
    """Make a 413, which closes the connection, since the rest of the body is not read."""
    return Refusal(413, message, headers={"connection": "close"})
