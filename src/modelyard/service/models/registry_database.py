"""The registry in a SQLite database on this machine, read without MLflow.

Importing MLflow takes 190 MB, and a second in which requests wait; a read here takes a millisecond.
"""

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from modelyard.inference.plain_text import is_plain, show
from modelyard.registry.artifact_files import local_folder
from modelyard.service.models.registry_client import RegistryClient, no_answer
from modelyard.service.models.registry_state import RegisteredModel, RegistryState, make_model, make_version
from modelyard.tracking.address import database_file

# Revisions of MLflow's tables for which the queries below were written: MLflow 3.17.
REVISIONS = frozenset({"dc11669786a5"})
# MLflow commits within milliseconds; with WAL, readers do not wait at all.
TIMEOUT_S = 5.0

_REVISION = "SELECT version_num FROM alembic_version"
_NAMES = "SELECT name FROM registered_models WHERE workspace = 'default' ORDER BY name"
_ALIASES = "SELECT alias, version FROM registered_model_aliases WHERE workspace = 'default' AND name = ?"
_VERSIONS = """
    SELECT version FROM model_versions
    WHERE workspace = 'default' AND name = ? AND current_stage != 'Deleted_Internal' ORDER BY version
"""
_TAGS = "SELECT version, key, value FROM model_version_tags WHERE workspace = 'default' AND name = ?"
# Where a metric was logged more than once, the latest value comes last.
_METRICS = """
    SELECT tag.version, metric.metric_name, metric.metric_value
    FROM model_version_tags AS tag
    JOIN logged_models AS model ON model.model_id = tag.value AND model.lifecycle_stage = 'active'
    JOIN logged_model_metrics AS metric ON metric.model_id = model.model_id
    WHERE tag.workspace = 'default' AND tag.name = ? AND tag.key = 'model_id'
    ORDER BY metric.metric_timestamp_ms, metric.metric_step
"""
_LOCATION = """
    SELECT coalesce(storage_location, source) FROM model_versions
    WHERE workspace = 'default' AND name = ? AND version = ? AND current_stage != 'Deleted_Internal'
"""

log = logging.getLogger(__name__)


class RegistryDatabase(RegistryClient):
    """Reads what MLflow writes into a database file; never writes to it.

    Uses MLflow if the revision of its tables is unknown here, and for artifacts elsewhere.
    """

    def __init__(self, uri: str, file: Path) -> None:
        super().__init__(uri)
        self._file = file
        self._told = False

    def read(self, names: Sequence[str]) -> RegistryState:
        """Return the models with these names; without names, all that modelyard published.

        Raises SourceError if the database cannot be read.
        """
        with self._open_database() as database:
            if self._knows_tables(database):
                return _read(database, names)
        return super().read(names)

    def _locate(self, name: str, version: int) -> str:
        with self._open_database() as database:
            found = database.execute(_LOCATION, (name, version)).fetchone()
        if found and found[0] and local_folder(str(found[0])) is not None:
            return str(found[0])
        return super()._locate(name, version)

    @contextmanager
    def _open_database(self) -> Iterator[sqlite3.Connection]:
        address = f"file:{quote(str(self._file))}?mode=ro"
        try:
            # SQLite does not say why it cannot open a file.
            self._file.stat()
            # Without transactions of Python's own: `_read` begins one.
            database = sqlite3.connect(address, uri=True, timeout=TIMEOUT_S, isolation_level=None)
            with closing(database):
                # Bytes that are not text in one row must not hide all other rows.
                database.text_factory = lambda text: text.decode(errors="replace")
                yield database
        except (OSError, sqlite3.Error) as error:
            raise no_answer(error) from error

    def _knows_tables(self, database: sqlite3.Connection) -> bool:
        found = {revision for (revision,) in database.execute(_REVISION)}
        if found <= REVISIONS:
            return True
        if not self._told:
            self._told = True
            log.warning(
                "%s is from another MLflow (its tables have revision %s): it is read through MLflow, which "
                "takes about 190 MB of memory",
                self._file,
                show(", ".join(sorted(map(str, found)))),
            )
        return False


def open_source(uri: str) -> RegistryClient:
    """Return the registry behind an address, as MLFLOW_TRACKING_URI has it; nothing is asked yet."""
    database = database_file(uri)
    return RegistryClient(uri) if database is None else RegistryDatabase(uri, database)


def _read(database: sqlite3.Connection, names: Sequence[str]) -> RegistryState:
    # All queries see one and the same state.
    database.execute("BEGIN")
    there = [name for (name,) in database.execute(_NAMES) if is_plain(name)]
    known = set(there)
    found = {name: _read_model(database, name) for name in names or there if name in known}
    if not names:
        return RegistryState({name: model for name, model in found.items() if model.is_ours})
    return RegistryState(found, () if len(found) == len(names) else tuple(there))


def _read_model(database: sqlite3.Connection, name: str) -> RegisteredModel:
    tags: dict[Any, dict[Any, Any]] = {version: {} for (version,) in database.execute(_VERSIONS, (name,))}
    metrics: dict[Any, dict[Any, Any]] = {version: {} for version in tags}
    for version, key, value in database.execute(_TAGS, (name,)):
        if version in tags:
            tags[version][key] = value
    for version, key, value in database.execute(_METRICS, (name,)):
        if version in metrics:
            metrics[version][key] = value
    versions = [make_version(version, tags[version], metrics[version]) for version in tags]
    return make_model(name, dict(database.execute(_ALIASES, (name,)).fetchall()), versions)
