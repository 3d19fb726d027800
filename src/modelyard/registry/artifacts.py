"""Fetched artifacts of versions: bundles, and networks to train further."""

from collections.abc import Callable
from pathlib import Path

from modelyard.errors import ModelyardError
from modelyard.inference.bundle import Bundle, BundleError, is_content_key, read_bundle
from modelyard.inference.plain_text import show
from modelyard.inference.runtime.trial import try_bundle
from modelyard.registry.artifact_files import ArtifactError
from modelyard.registry.bundle_artifacts import bring_bundle
from modelyard.registry.versions import CONTENT_KEY, NETWORK_ARTIFACT, resolve_version
from modelyard.tracking.mlflow_types import ModelVersion
from modelyard.tracking.store import Store


def fetch_bundle(store: Store, version: ModelVersion, folder: Path | None = None) -> Bundle:
    """Return a version's bundle; raise ModelyardError if it is missing, or not what was registered.

    What is not on this machine is downloaded to `folder`, or to a temporary folder that stays.
    """
    from mlflow.exceptions import MlflowException

    uri, key = f"models:/{version.name}/{version.version}", version.tags.get(CONTENT_KEY)
    if not is_content_key(key):
        raise ModelyardError(
            f"{uri}: expected a version registered by modelyard, but it has no {CONTENT_KEY}"
        )
    try:
        location = store.client.get_model_version_download_uri(version.name, str(version.version))
        bundle = read_bundle(bring_bundle(location, folder, store.uri))
        bundle.verify(key)
    except MlflowException as error:
        raise ModelyardError(f"{uri}: its artifacts cannot be fetched ({show(error)})") from None
    except (ArtifactError, BundleError) as error:
        raise ModelyardError(f"{uri}: {error}") from None
    return bundle


def check_bundle(
    store: Store,
    version: ModelVersion,
    folder: Path | None = None,
    run: Callable[[Path], None] = try_bundle,
) -> None:
    """Fetch a version's bundle and `run` it in its own process; raise ModelyardError if it cannot answer."""
    bundle = fetch_bundle(store, version, folder)
    try:
        run(bundle.folder)
    except BundleError as error:
        raise ModelyardError(f"models:/{version.name}/{version.version}: {error}") from None


def fetch_network(store: Store, resume_from: str | None) -> Path | None:
    """Return the `.keras` file that `train.resume_from` names: a path, or that of a version trained here."""
    import mlflow
    from mlflow.exceptions import MlflowException

    if resume_from is None or not resume_from.startswith("models:/"):
        return None if resume_from is None else Path(resume_from)
    version = resolve_version(store.client, resume_from)
    try:
        uri = f"runs:/{version.run_id}/{NETWORK_ARTIFACT}"
        return Path(mlflow.artifacts.download_artifacts(uri, tracking_uri=store.uri))
    except (MlflowException, OSError) as error:
        raise ModelyardError(
            f"train.resume_from: expected a version that was trained here, {resume_from} has no "
            f"{NETWORK_ARTIFACT} in its run ({error})"
        ) from None
