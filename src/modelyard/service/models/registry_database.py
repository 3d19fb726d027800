"""The registry in a SQLite database on this machine, read without MLflow.

To import MLflow takes a second, in which requests wait, and 190 MB; a read here takes a millisecond.
"""

import logging
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from modelyard.inference.plain_text import is_plain, show
from modelyard.registry.bundle_artifacts import local_folder
from modelyard.service.models.registry_client import RegistryClient, bring, bring_samples, no_answer
from modelyard.service.models.registry_state import RegisteredModel, RegistryState, make_model, make_version

# Revisions of MLflow's tables that the queries below were written for: MLflow 3.17.
REVISIONS = frozenset({"dc11669786a5"})
# MLflow itself commits in milliseconds; a reader of WAL waits for nobody at all.
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


class RegistryDatabase:
    """Reads what an MLflow process writes into the same file; never writes to it.

    Args:
        file: the database.
        client: asked instead where MLflow's tables are of a revision that is not known here, and for
            artifacts that do not lie on this machine.
    """

    def __init__(self, file: Path, client: RegistryClient) -> None:
        self._file, self._client = file, client
        self._told = False

    def read(self, names: Sequence[str]) -> RegistryState:
        """Read the models of these names; with no names, all that modelyard published.

        Raises:
            SourceError: the database cannot be read.
        """
        try:
            with closing(self._open()) as database:
                if not self._knows_tables(database):
                    return self._client.read(names)
                return _read(database, names)
        except sqlite3.Error as error:
            raise no_answer(error) from error

    def download(self, name: str, version: int, folder: Path) -> Path:
        """Copy a version's bundle, and return its folder, somewhere in `folder`. Nothing is checked yet.

        Raises:
            SourceError: the artifacts are missing, are no bundle, or cannot be fetched now.
        """
        location = self._locate(name, version)
        if location is None:
            return self._client.download(name, version, folder)
        return bring(location, folder, uri="")

    def samples(self, name: str, version: int) -> dict[str, bytes]:
        """Read a version's sample pictures by their names, as `read_samples` does.

        Raises:
            SourceError: they cannot be fetched now.
        """
        location = self._locate(name, version)
        if location is None:
            return self._client.samples(name, version)
        return bring_samples(location, uri="")

    def _locate(self, name: str, version: int) -> str | None:
        """Return where a version's artifacts are, None where that is not on this machine."""
        try:
            with closing(self._open()) as database:
                found = database.execute(_LOCATION, (name, version)).fetchone()
        except sqlite3.Error as error:
            raise no_answer(error) from error
        location = str(found[0]) if found and found[0] else None
        return None if location is None or local_folder(location) is None else location

    def _open(self) -> sqlite3.Connection:
        try:
            self._file.stat()
        except OSError as error:
            raise no_answer(error) from error
        address = f"file:{quote(str(self._file))}?mode=ro"
        # Without transactions of its own making: `_read` begins one.
        database = sqlite3.connect(address, uri=True, timeout=TIMEOUT_S, isolation_level=None)
        # What is no text in one row must not hide all the others.
        database.text_factory = lambda text: text.decode(errors="replace")
        return database

    def _knows_tables(self, database: sqlite3.Connection) -> bool:
        found = {revision for (revision,) in database.execute(_REVISION)}
        if found <= REVISIONS:
            return True
        if not self._told:
            self._told = True
            log.warning(
                "%s is of another MLflow (its tables are of revision %s): it is read through MLflow, which "
                "takes about 190 MB of memory",
                self._file,
                show(", ".join(sorted(map(str, found)))),
            )
        return False


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
