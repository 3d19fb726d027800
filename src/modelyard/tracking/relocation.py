"""The database holds absolute addresses of artifacts, which must follow when its folder is moved.

The columns are those of MLflow 3.17.2.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from modelyard.errors import ModelyardError
from modelyard.tracking.address import ARTIFACTS, SQLITE_TIMEOUT_S, database_file

LOCATIONS = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("trace_tags", "value"),
)
# MLflow puts the experiment Default into the second.
FOLDERS = (ARTIFACTS, "mlruns")


def find_former_folder(database: Path, location: str) -> Path | None:
    """Return the folder that a database and its artifacts lay in when an experiment got its location.

    None if they still lie there, or the artifacts never lay beside the database, as those of a server.
    """
    artifacts = Path(unquote(urlsplit(location).path))
    if artifacts.name != ARTIFACTS or not database.with_name(ARTIFACTS).is_dir():
        return None
    return None if artifacts.parent.resolve() == database.parent.resolve() else artifacts.parent


def find_former_folders(uri: str) -> list[Path]:
    """Return the folders in which the database of `uri` lay before, according to its experiments; sorted."""
    database = database_file(uri)
    if database is None:
        return []
    with _open(database) as connection:
        rows = connection.execute("SELECT artifact_location FROM experiments").fetchall()
    former = {find_former_folder(database, location) for (location,) in rows if location}
    return sorted(filter(None, former))


def relocate(uri: str) -> int:
    """Point all artifact locations in a former folder to the present one, all or none; return how many.

    Raises ModelyardError if the store is no database on this machine, or its tables are not those of MLflow
    3.17.
    """
    database = database_file(uri)
    if database is None:
        raise ModelyardError(
            f"expected a SQLite database, but the store is {uri}: a server is told where its artifacts are "
            "when it starts (`mlflow server --artifacts-destination`)"
        )
    here = database.absolute().parent
    moves = [(former / name, here / name) for former in find_former_folders(uri) for name in FOLDERS]
    with _open(database) as connection, connection:
        return sum(
            _replace_prefix(connection, table, column, *prefixes)
            for old, new in moves
            for prefixes in ((old.as_uri(), new.as_uri()), (str(old), str(new)))
            for table, column in LOCATIONS
        )


def _replace_prefix(connection: sqlite3.Connection, table: str, column: str, old: str, new: str) -> int:
    replaced = connection.execute(
        f"UPDATE {table} SET {column} = :new || substr({column}, length(:old) + 1) "  # noqa: S608  # of LOCATIONS
        f"WHERE substr({column} || '/', 1, length(:old) + 1) = :old || '/'",
        {"old": old, "new": new},
    )
    return replaced.rowcount


@contextmanager
def _open(database: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(database, timeout=SQLITE_TIMEOUT_S)) as connection:
            yield connection
    except sqlite3.Error as error:
        raise ModelyardError(
            f"{database} cannot be used as a database of MLflow 3.17 ({error}): stop other processes, and "
            "install the versions of requirements.txt"
        ) from None
