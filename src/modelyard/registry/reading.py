"""The registry opened by a command that only reads: nothing is made where there is none."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError
from modelyard.tracking.store import QUIET, SERVER_TIMEOUT_S, Tracking, database_file, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient

# A person waits: a server that hangs is told after some seconds, not after MLflow's eight minutes.
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "15"}


def open_registry() -> Tracking:
    """Open the store that MLFLOW_TRACKING_URI names, or the repository's own; `experiment_id` is empty.

    Raises:
        ModelyardError: there is no database, or no server answers.
    """
    uri = tracking_uri()
    database = database_file(uri)
    if database is not None and not database.is_file():
        raise ModelyardError(
            f"expected the tracking database {database}, there is none: `make repro` makes it, and "
            "MLFLOW_TRACKING_URI names another"
        )
    if uri.startswith("http"):
        _ask_server(uri)
    return Tracking(_open_client(uri), uri, experiment_id="")


def _open_client(uri: str) -> "MlflowClient":
    for name, value in {**QUIET, **PATIENCE}.items():
        os.environ.setdefault(name, value)
    with _without_collecting():
        import mlflow

        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        return mlflow.MlflowClient()


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Look for no garbage in the body, nor later among what it made.

    MLflow's classes live as long as the command; to look through them again and again, the last time when the
    interpreter ends, would take a third of its time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def _ask_server(uri: str) -> None:
    """Find out within seconds whether a server answers, before MLflow is imported."""
    import requests

    try:
        requests.get(f"{uri.rstrip('/')}/health", timeout=SERVER_TIMEOUT_S).raise_for_status()
    except requests.RequestException as error:
        raise ModelyardError(
            f"MLFLOW_TRACKING_URI={uri}: expected an MLflow server, {type(error).__name__} came within "
            f"{SERVER_TIMEOUT_S} s: start it, or unset MLFLOW_TRACKING_URI to use the local database"
        ) from None
