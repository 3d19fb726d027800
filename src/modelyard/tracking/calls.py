"""Calls to MLflow whose error codes mean something other than a failure."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from modelyard.tracking.mlflow_types import MlflowClient

T = TypeVar("T")

MISSING, INVALID, EXISTS = "RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "RESOURCE_ALREADY_EXISTS"
# Of a database or a server that this user may only read.
READ_ONLY = "BAD_REQUEST", "PERMISSION_DENIED"
WRITE_ATTEMPTS = 5


def ask(call: Callable[..., T], *arguments: Any, refusals: Sequence[str] = (MISSING,)) -> T | None:
    """Call MLflow; return None where it refuses with one of these error codes."""
    from mlflow.exceptions import MlflowException

    try:
        return call(*arguments)
    except MlflowException as error:
        if error.error_code not in refusals:
            raise
        return None


def is_unanswered(error: Exception) -> bool:
    """Say whether no server answered: MLflow 3.17 has no code for that, only these words."""
    return str(error).startswith("API request to ") and "failed with exception" in str(error)


def run_exists(client: MlflowClient, run_id: str) -> bool:
    """Say whether there is such a run, and it is not deleted."""
    run = ask(client.get_run, run_id)
    return run is not None and run.info.lifecycle_stage == "active"


def write_past_others(write: Callable[..., T], *arguments: Any) -> T:
    """Write, and try again if another process wrote the same row at that moment.

    MLflow then fails with BAD_REQUEST, the database's answer; at the next attempt it finds the row.
    """
    for _ in range(WRITE_ATTEMPTS - 1):
        written = ask(lambda: (write(*arguments),), refusals=("BAD_REQUEST",))
        if written is not None:
            return written[0]
    return write(*arguments)
