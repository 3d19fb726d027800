"""The registry behind any address that MLflow knows, asked through MLflow's client."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelyard.inference.plain_text import is_plain, show
from modelyard.registry.bundle_artifacts import bring_bundle
from modelyard.registry.sample_artifacts import read_samples
from modelyard.registry.version_facts import latest_metrics
from modelyard.registry.versions import find_model_id, list_names, list_versions
from modelyard.service.models.registry_state import (
    RegisteredModel,
    RegisteredVersion,
    RegistryState,
    SourceError,
    make_model,
    make_version,
)
from modelyard.tracking.address import database_file, reach_server
from modelyard.tracking.calls import ask
from modelyard.tracking.environment import PATIENCE, QUIET, set_defaults
from modelyard.tracking.mlflow_types import MlflowClient, ModelVersion


class RegistryClient:
    """Asks the tracking server or database at `uri` through MLflow, which is imported at first use."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._client: MlflowClient | None = None
        # A version's metrics, for as long as the version itself is not changed.
        self._metrics: dict[tuple[str, str, Any], dict[str, float]] = {}

    def read(self, names: Sequence[str]) -> RegistryState:
        """Return the models with these names; without names, all that modelyard published.

        Raises SourceError if the registry does not answer.
        """
        self._reach()
        try:
            client = self._open()
            wanted = names or list(filter(is_plain, list_names(client)))
            found = {name: model for name in wanted if (model := self._read_model(client, name))}
            others = () if len(found) == len(wanted) else tuple(filter(is_plain, list_names(client)))
        except Exception as error:  # what answers may be no MLflow server, and lead to any error
            raise no_answer(error) from error
        if not names:
            found = {name: model for name, model in found.items() if model.is_ours}
        return RegistryState(found, others)

    def download(self, name: str, version: int, folder: Path) -> Path:
        """Fetch a version's bundle, and return its folder, which is inside `folder`. Nothing is checked yet.

        Raises SourceError if the registry does not answer, and ArtifactError if the artifacts are missing,
        hold no bundle, or cannot be fetched now.
        """
        return bring_bundle(self._locate(name, version), folder, self._uri)

    def samples(self, name: str, version: int) -> dict[str, bytes]:
        """Fetch a version's sample pictures by their names, as `read_samples` does.

        Raises SourceError if the registry does not answer, and ArtifactError if they cannot be fetched now.
        """
        return read_samples(self._locate(name, version), self._uri)

    def _locate(self, name: str, version: int) -> str:
        """Return the address of a version's artifacts."""
        self._reach()
        from mlflow.exceptions import MlflowException

        try:
            return str(self._open().get_model_version_download_uri(name, str(version)))
        except MlflowException as error:
            raise no_answer(error) from error

    def _reach(self) -> None:
        """Find out within seconds whether the registry is there: MLflow imports slowly, and retries for long.

        The registry is soon asked again anyway; a long wait would only hide that it is gone.
        """
        set_defaults(QUIET | PATIENCE)
        try:
            if self._uri.startswith("http"):
                reach_server(self._uri)
            elif database := database_file(self._uri):
                # MLflow would make an empty database, and then find nothing in it.
                database.stat()
        except OSError as error:
            raise no_answer(error) from error

    def _open(self) -> MlflowClient:
        if self._client is None:
            import mlflow

            self._client = mlflow.MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)
        return self._client

    def _read_model(self, client: MlflowClient, name: str) -> RegisteredModel | None:
        if (registered := ask(client.get_registered_model, name)) is None:
            return None
        # Asked after the aliases, so that a version they name is among them.
        versions = [self._read_version(client, version) for version in list_versions(client, name)]
        return make_model(name, registered.aliases, versions)

    def _read_version(self, client: MlflowClient, version: ModelVersion) -> RegisteredVersion:
        key = (version.name, str(version.version), version.last_updated_timestamp)
        if key not in self._metrics:
            self._metrics[key] = _read_metrics(client, find_model_id(version))
        return make_version(version.version, version.tags, self._metrics[key])


def no_answer(error: Exception) -> SourceError:
    """Make the error for a registry that does not answer; only the log gets the cause's own words."""
    reason = f"the registry does not answer ({type(error).__name__})"
    return SourceError(f"{reason}: {show(' '.join(str(error).split()))}", reason)


def _read_metrics(client: MlflowClient, model_id: str | None) -> dict[str, float]:
    # The logged model may be deleted while the version stays, which is then served without metrics.
    logged = ask(client.get_logged_model, model_id) if model_id else None
    return latest_metrics(logged.metrics or ()) if logged else {}
