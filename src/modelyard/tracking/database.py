"""The SQLite database with MLflow's tables: created once, never changed by a command that only reads."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from modelyard.errors import ModelyardError
from modelyard.tracking.address import SQLITE_TIMEOUT_S


def check_tables(database: Path) -> None:
    """Refuse a database that lacks tables: MLflow would create them, or migrate an older version's."""
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
            f"expected MLflow's tables in {database}, but it is empty: `make repro` makes them, and "
            "MLFLOW_TRACKING_URI names another"
        )
    if missing:
        raise ModelyardError(
            f"expected MLflow's tables in {database}, but it lacks {missing[0]}: copy it, then "
            "`mlflow db upgrade sqlite:///FILE` brings that of an older MLflow up to date; or name another "
            "with MLFLOW_TRACKING_URI"
        )


@contextmanager
def first_use(database: Path) -> Iterator[None]:
    """Let one process at a time create the database: two at once would race in its migrations."""
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
