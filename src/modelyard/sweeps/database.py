"""The database that keeps a study: a SQLite file, or a PostgreSQL that several machines share."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError
from modelyard.tracking.store import SQLITE_TIMEOUT_S, database_file

if TYPE_CHECKING:
    import optuna
    import sqlalchemy

FILE = "sweeps.db"
# Of the lock in PostgreSQL, where a lock is a number: "sweep" as bytes.
_LOCK = int.from_bytes(b"sweep")


class Database:
    """Where studies are kept, with a lock that all who sweep there take in turn.

    Args:
        url: sqlite:///FILE or postgresql://...; None is the file in the repository's root.
        root: the repository; a relative FILE is below it.

    Raises:
        ModelyardError: PostgreSQL's driver is missing.
    """

    def __init__(self, url: str | None, root: Path) -> None:
        self._file = root / (database_file(url or f"sqlite:///{FILE}") or "")
        if url is None or database_file(url) is not None:
            self._url = f"sqlite:///{self._file}"
        else:
            # SQLAlchemy would look for another driver.
            self._url = url.replace("postgresql://", "postgresql+psycopg2://", 1)
            _find_driver()

    def __str__(self) -> str:
        """Return where it is, without a password."""
        import sqlalchemy

        return sqlalchemy.make_url(self._url).render_as_string(hide_password=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Let one process at a time do what the body does; a killed one holds nobody up."""
        if self._url.startswith("sqlite:"):
            from filelock import FileLock

            self._file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self._file}.lock"):
                yield
        else:
            import sqlalchemy

            with self._connect_once() as connection:
                connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(:number)"), {"number": _LOCK})
                yield

    def open(self) -> "optuna.storages.RDBStorage":
        """Return Optuna's storage; missing tables are made, so take the lock."""
        import optuna

        options = {"timeout": SQLITE_TIMEOUT_S} if self._url.startswith("sqlite:") else {}
        return optuna.storages.RDBStorage(self._url, engine_kwargs={"connect_args": options})

    @contextmanager
    def explaining_failures(self) -> Iterator[None]:
        """Turn errors of the database into one that a person can read.

        Raises:
            ModelyardError: naming the database and its first words.
        """
        from optuna.exceptions import StorageInternalError
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (StorageInternalError, SQLAlchemyError) as error:
            cause = error.__cause__ or error
            reason = next(iter(str(cause).splitlines()), type(error).__name__)
            raise ModelyardError(
                f"sweep.storage: the database {self} failed ({reason}): see to it, then sweep again; "
                "finished trials are kept"
            ) from error

    def _connect_once(self) -> "sqlalchemy.Connection":
        """Return a connection that is closed at the end, and not kept for others: that frees its locks."""
        import sqlalchemy

        return sqlalchemy.create_engine(self._url, poolclass=sqlalchemy.NullPool).connect()


def _find_driver() -> None:
    from importlib.util import find_spec

    if find_spec("psycopg2") is None:
        raise ModelyardError(
            "sweep.storage: expected psycopg2 for PostgreSQL, it is not installed: "
            "pip install psycopg2-binary"
        )
