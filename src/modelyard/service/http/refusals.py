"""What a request is refused with, whichever protocol it speaks."""

# A message may tell a name, of a request or the registry, that has no end.
_MOST_CHARACTERS = 1000


class Refusal(Exception):  # noqa: N818  # a status is chosen, nothing failed
    """A request cannot be answered.

    Attributes:
        status: of HTTP, 4xx or 5xx.
        message: one line of at most 1,000 characters, without anything of the request's body in it.
        index: of the image that is to blame, where one is.
        headers: to send along.
    """

    def __init__(
        self, status: int, message: str, index: int | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message[:_MOST_CHARACTERS]
        self.index = index
        self.headers = headers or {}


def busy(message: str) -> Refusal:
    """Make a 503 that says when to come again."""
    return Refusal(503, message, headers={"retry-after": "1"})


def too_large(message: str) -> Refusal:
    """Make a 413; the connection ends with it, since the rest of the body is not read."""
    return Refusal(413, message, headers={"connection": "close"})
