"""The database of a study: a SQLite file, or PostgreSQL shared by several machines."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError, first_line
from modelyard.tracking.address import SQLITE_TIMEOUT_S, database_file

if TYPE_CHECKING:
    import optuna

FILE = "sweeps.db"
# A trial silent for this long is retried, but not often: it may be what kills its process.
HEARTBEAT_S, GRACE_S, RETRIES = 15, 180, 2
# PostgreSQL's advisory locks have numbers.
_LOCK = int.from_bytes(b"sweep")


class Database:
    """A database of studies: sqlite:///FILE, below `root` if relative, or postgresql://... with psycopg2."""

    def __init__(self, url: str | None, root: Path) -> None:
        self._file = root / (database_file(url or f"sqlite:///{FILE}") or "")
        if url is None or database_file(url) is not None:
            self._url = f"sqlite:///{self._file}"
        else:
            # Without a driver's name, SQLAlchemy may choose another driver.
            self._url = url.replace("postgresql://", "postgresql+psycopg2://", 1)
            if find_spec("psycopg2") is None:
                raise ModelyardError("sweep.storage: PostgreSQL needs psycopg2: pip install psycopg2-binary")

    def __str__(self) -> str:
        """Return the URL without a password."""
        import sqlalchemy

        return sqlalchemy.make_url(self._url).render_as_string(hide_password=True)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Let one process at a time run the body; a killed process loses the lock.

        Neither Optuna's creation of tables nor the search for a study's run in MLflow is atomic.
        """
        if self._url.startswith("sqlite:"):
            from filelock import FileLock

            self._file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self._file}.lock"):
                yield
        else:
            import sqlalchemy

            # Without a pool the connection is really closed afterwards, which releases the lock.
            engine = sqlalchemy.create_engine(self._url, poolclass=sqlalchemy.NullPool)
            with engine.connect() as connection:
                connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(:number)"), {"number": _LOCK})
                yield

    def open(self) -> "optuna.storages.RDBStorage":
        """Return Optuna's storage; call it with the lock, since it creates missing tables."""
        import optuna

        options = {"timeout": SQLITE_TIMEOUT_S} if self._url.startswith("sqlite:") else {}
        return optuna.storages.RDBStorage(
            self._url,
            engine_kwargs={"connect_args": options},
            heartbeat_interval=HEARTBEAT_S,
            grace_period=GRACE_S,
            heartbeat_stale_trial_callback=retry,
        )

    @contextmanager
    def explaining_failures(self) -> Iterator[None]:
        """Turn a database error in the body into a ModelyardError of one line."""
        from optuna.exceptions import StorageInternalError
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (StorageInternalError, SQLAlchemyError) as error:
            reason = first_line(error.__cause__ or error)
            raise ModelyardError(
                f"sweep.storage: the database {self} failed ({reason}): repair it, then start the sweep "
                "again; finished trials are kept"
            ) from error


def retry(study: "optuna.Study", trial: "optuna.trial.FrozenTrial") -> None:
    """Enqueue the parameters of a killed trial, unless it was retried too often."""
    from optuna.storages import RetryHeartbeatStaleTrialCallback

    # The copy must not name the dead process as its owner.
    trial.user_attrs = {}
    RetryHeartbeatStaleTrialCallback(max_retry=RETRIES)(study, trial)
