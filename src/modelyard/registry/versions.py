"""Versions in the MLflow registry: found by what they hold, named by aliases, fetched to be used."""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError
from modelyard.inference.bundle import Bundle, BundleError, read_bundle
from modelyard.tracking.store import Tracking

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

CHAMPION, CHALLENGER = "champion", "challenger"
CONTENT_KEY = "content_key"
# SQL stores keep no link from a version to its logged model.
MODEL_ID = "model_id"
# Set last: a version without it was cut off while it was published, and is published again.
PUBLISHED = "published"
NETWORK_ARTIFACT = "network/model.keras"


@dataclass(frozen=True)
class VersionUri:
    """`models:/NAME@ALIAS`, `models:/NAME/3` or `models:/NAME/latest`, taken apart."""

    name: str
    alias: str | None
    number: str | None

    @classmethod
    def parse(cls, uri: str) -> "VersionUri":
        """Take a URI apart.

        Raises:
            ModelyardError: it is none of the three.
        """
        match = re.fullmatch(r"models:/([^/@]+)(?:@([^/@]+)|/(\d+|latest))", uri)
        if match is None:
            raise ModelyardError(
                f"expected models:/NAME@ALIAS, models:/NAME/3 or models:/NAME/latest, got {uri!r}"
            )
        return cls(*match.groups())


def is_registered(client: "MlflowClient", name: str) -> bool:
    """Say whether the registry knows a model of this name."""
    return bool(client.search_registered_models(f"name = '{name}'", max_results=1))


def list_versions(client: "MlflowClient", name: str, content_key: str | None = None) -> "list[ModelVersion]":
    """Return the versions of a name, oldest first; with a content key, those that hold just that."""
    query = f"name = '{name}'" + (f" and tags.{CONTENT_KEY} = '{content_key}'" if content_key else "")
    found: list[ModelVersion] = []
    token = None
    while True:
        page = client.search_model_versions(query, max_results=1000, page_token=token)
        found += page
        token = page.token
        if not token:
            return sorted(found, key=lambda version: int(version.version))


def resolve_version(client: "MlflowClient", uri: str) -> "ModelVersion":
    """Return the version that a URI names now.

    Raises:
        ModelyardError: there is no such model, alias or version; the message lists those there are.
    """
    from mlflow.exceptions import MlflowException

    wanted = VersionUri.parse(uri)
    versions = list_versions(client, wanted.name)
    if not versions:
        names = ", ".join(model.name for model in client.search_registered_models()) or "none"
        raise ModelyardError(f"{uri}: no version of {wanted.name!r} is registered; registered are: {names}")
    if wanted.alias:
        try:
            return client.get_model_version_by_alias(wanted.name, wanted.alias)
        except MlflowException:
            aliases = sorted(client.get_registered_model(wanted.name).aliases)
            raise ModelyardError(
                f"{uri}: expected an alias of {wanted.name}, one of {', '.join(aliases) or 'none'}"
            ) from None
    number = versions[-1].version if wanted.number == "latest" else wanted.number
    for version in versions:
        if str(version.version) == str(number):
            return version
    numbers = ", ".join(str(version.version) for version in versions)
    raise ModelyardError(f"{uri}: expected a version of {wanted.name}, one of {numbers}")


def create_version(
    client: "MlflowClient", name: str, run_id: str, tags: dict[str, str], description: str
) -> "ModelVersion":
    """Register the logged model that the tags name, and return the one version that has its content key.

    Two processes on two machines may come here at once: each sees the other's version afterwards, and the
    later number gives way.
    """
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    created = client.create_model_version(
        name,
        f"models:/{tags[MODEL_ID]}",
        run_id=run_id,
        tags=tags,
        description=description,
        model_id=tags[MODEL_ID],
    )
    first = list_versions(client, name, tags[CONTENT_KEY])[0]
    if first.version != created.version:
        client.delete_model_version(name, str(created.version))
    return first


def update_aliases(client: "MlflowClient", name: str, version: str, promote: bool) -> None:
    """Point `challenger` at the newest version, `champion` at `version` if it is the first or promoted."""
    aliases = client.get_registered_model(name).aliases
    if promote or CHAMPION not in aliases:
        client.set_registered_model_alias(name, CHAMPION, version)
    newest = str(list_versions(client, name)[-1].version)
    if str(aliases.get(CHALLENGER)) != newest:
        client.set_registered_model_alias(name, CHALLENGER, newest)


def fetch_bundle(tracking: Tracking, version: "ModelVersion") -> Bundle:
    """Bring a version's bundle to this machine, where it is not on it already, and check its digest.

    Raises:
        ModelyardError: an artifact is missing, or is not what was registered.
    """
    import mlflow
    from mlflow.exceptions import MlflowException
    from mlflow.models import Model

    uri = f"models:/{version.name}/{version.version}"
    try:
        model = Path(mlflow.artifacts.download_artifacts(uri, tracking_uri=tracking.uri))
    except (MlflowException, OSError) as error:
        raise ModelyardError(f"{uri}: its artifacts cannot be fetched ({error})") from None
    flavor = Model.load(str(model)).flavors["python_function"]
    try:
        bundle = read_bundle(model / flavor["artifacts"]["bundle"]["path"])
        bundle.verify(version.tags[CONTENT_KEY])
    except BundleError as error:
        raise ModelyardError(f"{uri}: {error}") from None
    return bundle


def fetch_network(tracking: Tracking, resume_from: str | None) -> Path | None:
    """Return the `.keras` file that `train.resume_from` names: a path, or that of a registered version.

    Raises:
        ModelyardError: the version is unknown, or was not trained here.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    if resume_from is None or not resume_from.startswith("models:/"):
        return None if resume_from is None else Path(resume_from)
    version = resolve_version(tracking.client, resume_from)
    try:
        uri = f"runs:/{version.run_id}/{NETWORK_ARTIFACT}"
        return Path(mlflow.artifacts.download_artifacts(uri, tracking_uri=tracking.uri))
    except (MlflowException, OSError) as error:
        raise ModelyardError(
            f"train.resume_from: expected a version that was trained here, {resume_from} has no "
            f"{NETWORK_ARTIFACT} in its run ({error})"
        ) from None


def use_stand_in(tracking: Tracking, uri: str, stand_ins: Mapping[str, str]) -> str:
    """Return the URI of the model that stands in for the one `uri` names, where only that is registered.

    Args:
        tracking: the store.
        uri: a version's URI.
        stand_ins: from the name of a model that could not be had to the name of the one that was.
    """
    name = VersionUri.parse(uri).name
    if name not in stand_ins or is_registered(tracking.client, name):
        return uri
    print(f"warning: {name} is not registered; {stand_ins[name]} stands in for it", file=sys.stderr)
    return uri.replace(f"models:/{name}", f"models:/{stand_ins[name]}")
