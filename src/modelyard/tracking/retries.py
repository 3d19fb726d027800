"""Writes that are tried again where somebody else wrote the same row at that moment."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
# Others come between a few times at most.
WRITE_ATTEMPTS = 5


def write_past_others(write: Callable[[], T]) -> T:
    """Write, and again where somebody else wrote the same row at that moment.

    MLflow lets one of the two fail with BAD_REQUEST, as the database told it; the next time it finds the row.
    """
    from mlflow.exceptions import MlflowException

    for _ in range(WRITE_ATTEMPTS - 1):
        try:
            return write()
        except MlflowException as error:
            if error.error_code != "BAD_REQUEST":
                raise
    return write()
