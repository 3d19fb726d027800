"""The MLflow store: where it is, that it answers, and the experiment that holds the project's runs."""

import gc
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote

from modelyard.errors import ModelyardError
from modelyard.repository import find_root

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")

# The folder beside a database that has the artifacts.
ARTIFACTS = "mlartifacts"

# A writer of SQLite waits so long for the others before it gives up.
SQLITE_TIMEOUT_S = 120
SERVER_TIMEOUT_S = 5
# Others come between a few times at most.
WRITE_ATTEMPTS = 5


@dataclass(frozen=True)
class Store:
    """An open MLflow store."""

    client: "MlflowClient"
    uri: str


@dataclass(frozen=True)
class Tracking(Store):
    """An open MLflow store and the experiment that holds the project's runs."""

    experiment_id: str


def tracking_uri() -> str:
    """Return MLFLOW_TRACKING_URI where it is set, else the SQLite file in the repository's root."""
    if uri := os.environ.get("MLFLOW_TRACKING_URI"):
        return uri
    try:
        root = find_root()
    except ModelyardError as error:
        raise ModelyardError(f"{error}, or set MLFLOW_TRACKING_URI") from None
    return f"sqlite:///{root / 'mlflow.db'}?timeout={SQLITE_TIMEOUT_S}"


def database_file(uri: str) -> Path | None:
    """Return the SQLite file that a tracking URI names, None for any other store."""
    if not uri.startswith("sqlite:///"):
        return None
    return Path(uri.removeprefix("sqlite:///").split("?")[0])


def open_store() -> Store:
    """Open the store as it is; nothing is made.

    Raises:
        ModelyardError: the server does not answer, or there is no database with MLflow's tables.
    """
    uri = tracking_uri()
    database = database_file(uri)
    if uri.startswith("http"):
        _ask_server(uri)
    elif database is not None and not database.is_file():
        raise ModelyardError(
            f"expected the tracking database {database}, there is none: `make repro` makes it, and "
            "MLFLOW_TRACKING_URI names another"
        )
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    with _without_collecting():
        _quieten()
        if database is not None:
            _check_tables(database)
        return Store(_open_client(uri), uri)


def open_tracking(experiment: str) -> Tracking:
    """Open the store, make its database and the experiment where they are missing.

    Raises:
        ModelyardError: the server does not answer, the database cannot be opened, the experiment was deleted.
    """
    uri = tracking_uri()
    if uri.startswith("http"):
        _ask_server(uri)
    if (database := database_file(uri)) is None:
        client = _open_client(uri)
        return Tracking(client, uri, ensure_experiment(client, uri, experiment))
    with _first_use(database):
        client = _open_client(uri)
        return Tracking(client, uri, ensure_experiment(client, uri, experiment))


def ensure_experiment(client: "MlflowClient", uri: str, name: str) -> str:
    """Return the id of an experiment, which is made where it is missing.

    A database keeps the artifacts beside itself.

    Raises:
        ModelyardError: the experiment was deleted.
    """
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        database = database_file(uri)
        artifacts = database.with_name(ARTIFACTS).as_uri() if database else None
        try:
            # This kind opens on the training view, where runs can be compared.
            kind = {"mlflow.experimentKind": "custom_model_development"}
            return str(client.create_experiment(name, artifacts, kind))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            experiment = client.get_experiment_by_name(name)
    if experiment is None or experiment.lifecycle_stage == "deleted":
        raise ModelyardError(
            f"the experiment {name!r} was deleted in MLflow: restore it there, or choose another name in "
            "conf/registry"
        )
    return str(experiment.experiment_id)


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


def _open_client(uri: str) -> "MlflowClient":
    """Import MLflow, quietly, and return a client; fluent calls go to the same store."""
    _quieten()
    import mlflow

    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return mlflow.MlflowClient()


def _quieten() -> None:
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)


QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # A server that went away is told within seconds, not after MLflow's four minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}

# A person waits: a server that hangs is told after some seconds, not after MLflow's eight minutes.
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "15"}


def _check_tables(database: Path) -> None:
    """Refuse a database that lacks tables: MLflow would make them, or migrate those of another version."""
    from mlflow.store.model_registry.dbmodels.models import SqlRegisteredModel
    from mlflow.store.tracking.dbmodels.models import Base

    address = f"file:{quote(str(database))}?mode=ro"
    try:
        with closing(sqlite3.connect(address, timeout=SQLITE_TIMEOUT_S, uri=True)) as connection:
            rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            found = {name for (name,) in rows}
    except sqlite3.DatabaseError as error:
        raise ModelyardError(
            f"the tracking database {database} cannot be read ({error}): restore it from a copy, make it "
            "and its folder writable, or name another with MLFLOW_TRACKING_URI"
        ) from None
    missing = sorted({*Base.metadata.tables, SqlRegisteredModel.__tablename__} - found)
    if not found:
        raise ModelyardError(
            f"expected MLflow's tables in {database}, it is empty: `make repro` makes them, and "
            "MLFLOW_TRACKING_URI names another"
        )
    if missing:
        raise ModelyardError(
            f"expected MLflow's tables in {database}, it lacks {missing[0]}: copy it, then "
            "`mlflow db upgrade sqlite:///FILE` brings that of an older MLflow up to date; or name another "
            "with MLFLOW_TRACKING_URI"
        )


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Look for no garbage in the body, nor later among what it made.

    MLflow's classes live as long as a command; to look through them again and again, the last time when the
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


@contextmanager
def _first_use(database: Path) -> Iterator[None]:
    """Let one process at a time make the database: two at once would race its migrations."""
    from filelock import FileLock

    try:
        with FileLock(database.with_name(f"{database.name}.lock")):
            # Readers and one writer at once; SQLite remembers it in the file.
            with sqlite3.connect(database, timeout=SQLITE_TIMEOUT_S) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
            connection.close()
            yield
    except (sqlite3.Error, PermissionError) as error:
        raise ModelyardError(
            f"the tracking database {database} cannot be used ({error}): make it readable and writable, or "
            "move it away and let the next run make a new one"
        ) from None


def _ask_server(uri: str) -> None:
    import requests

    try:
        response = requests.get(f"{uri.rstrip('/')}/health", timeout=SERVER_TIMEOUT_S)
        response.raise_for_status()
    except requests.RequestException as error:
        raise ModelyardError(
            f"MLFLOW_TRACKING_URI={uri}: expected an MLflow server, {type(error).__name__} came. Start it, "
            "or unset MLFLOW_TRACKING_URI to use the local database"
        ) from None


if __name__ == "__main__":
    print(tracking_uri())
