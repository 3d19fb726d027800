"""The errors that a person is meant to read."""

from collections.abc import Iterator
from contextlib import contextmanager


class ModelyardError(Exception):
    """Something outside the code is not as it should be.

    The message says what was expected, what came, and what to do; a stage prints it as its last line and
    stops with exit code 1, without a traceback.
    """


class UsageError(ModelyardError):
    """The call is wrong: it names something that does not exist, or uses an option in a wrong way."""


@contextmanager
def named(origin: str) -> Iterator[None]:
    """Put a name before the message of a ModelyardError."""
    try:
        yield
    except ModelyardError as error:
        raise ModelyardError(f"{origin}: {error}") from error


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the name of its type if it has none."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
