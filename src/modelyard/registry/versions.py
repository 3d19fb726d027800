"""Versions in the MLflow registry: found by what they hold, named by aliases, fetched to be used."""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from modelyard.errors import ModelyardError, UsageError
from modelyard.failures import warn
from modelyard.tracking.retries import write_past_others
from modelyard.tracking.store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel

T = TypeVar("T")

CHAMPION, CHALLENGER = "champion", "challenger"
CONTENT_KEY = "content_key"
# SQL stores keep no link from a version to its logged model.
MODEL_ID = "model_id"
# Set last: a version without it was cut off while it was published, and is published again.
PUBLISHED = "published"
# Where a version's evaluation lies among its run's artifacts; without it, a version is of before that was so.
EVALUATION = "evaluation.artifacts"
# The digest of what was measured; set last, so that an evaluation that was cut off is kept once more.
EVALUATED = "evaluation.record"
# A run that came to a bundle that was a version already says which.
SAME_BUNDLE_AS = "same_bundle_as"
NETWORK_ARTIFACT = "network/model.keras"
# What a database takes for a number.
HIGHEST_NUMBER = 2**31
MOST_LISTED = 20


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
        match = re.fullmatch(r"models:/([^/@]+)(?:@([^/@]+)|/([0-9]+|latest))", uri)
        if match is None:
            raise ModelyardError(
                f"expected models:/NAME@ALIAS, models:/NAME/3 or models:/NAME/latest, got {uri!r}"
            )
        return cls(*match.groups())


def is_registered(client: "MlflowClient", name: str) -> bool:
    """Say whether the registry knows a model of this name."""
    return _find(partial(client.get_registered_model, name)) is not None


def list_names(client: "MlflowClient") -> list[str]:
    """Return the names of all registered models, in their order."""
    names: list[str] = []
    token = None
    while True:
        page = client.search_registered_models(page_token=token)
        names += [model.name for model in page]
        token = page.token
        if not token:
            return sorted(names)


def list_versions(client: "MlflowClient", name: str, content_key: str | None = None) -> "list[ModelVersion]":
    """Return the versions of a name, oldest first; with a content key, those that hold just that."""
    # A quote in a name would end the text of MLflow's filter, so all are searched for such a name.
    query = None if "'" in name else f"name = '{name}'"
    if query and content_key:
        query += f" and tags.{CONTENT_KEY} = '{content_key}'"
    found: list[ModelVersion] = []
    token = None
    while True:
        page = client.search_model_versions(query, max_results=1000, page_token=token)
        found += [
            one for one in page if one.name == name and content_key in (None, one.tags.get(CONTENT_KEY))
        ]
        token = page.token
        if not token:
            return sorted(found, key=lambda version: int(version.version))


def get_model(client: "MlflowClient", name: str) -> "RegisteredModel":
    """Return a registered model with its aliases and tags.

    Raises:
        UsageError: there is none of this name; the message says which there are.
    """
    from mlflow.exceptions import MlflowException

    try:
        return client.get_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        names = _shorten(list_names(client))
        raise UsageError(f"no version of {name!r} is registered; registered are: {names}") from None


def resolve_version(client: "MlflowClient", uri: str) -> "ModelVersion":
    """Return the version that a URI names now.

    Raises:
        UsageError: there is no such model, alias or version; the message says which there are.
    """
    wanted = VersionUri.parse(uri)
    found = None
    if wanted.alias:
        found = _find(lambda: client.get_model_version_by_alias(wanted.name, wanted.alias))
    elif wanted.number == "latest":
        found = newest_version(client, wanted.name)
    elif len(str(wanted.number)) < 11 and int(str(wanted.number)) < HIGHEST_NUMBER:
        found = _find(lambda: client.get_model_version(wanted.name, str(wanted.number)))
    if found is None:
        raise UsageError(f"{uri}: {_say_what_there_is(client, wanted)}")
    return found


def find_version(client: "MlflowClient", name: str, reference: str) -> "ModelVersion":
    """Return the version of a name that a person means: by number, alias, `latest`, or the id of its run.

    Raises:
        UsageError: there is none, or the run has several.
    """
    if not re.fullmatch(r"""[^/@:'"]+""", name) or not re.fullmatch("[^/@]+", reference):
        raise UsageError(
            f"expected a model's name and a version's number, alias or run id, got {name!r} and {reference!r}"
        )
    if re.fullmatch("[0-9a-f]{32}", reference):
        return _find_version_of_run(client, name, reference)
    separator = "/" if re.fullmatch(r"[0-9]+|latest", reference) else "@"
    return resolve_version(client, f"models:/{name}{separator}{reference}")


def newest_version(client: "MlflowClient", name: str) -> "ModelVersion | None":
    """Return the version with the highest number, None where the name has none."""
    order = ["version_number DESC"]
    found = client.search_model_versions(f"name = '{name}'", max_results=1, order_by=order)
    return found[0] if found else None


def create_version(
    client: "MlflowClient", name: str, run_id: str, tags: dict[str, str], description: str
) -> "ModelVersion":
    """Register the logged model that the tags name, and return the one version that has its content key.

    Two processes on two machines may come here at once, or MLflow may ask its server twice when the first
    answer was lost: each sees the other's version afterwards, and the later number gives way.
    """
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    client.create_model_version(
        name,
        f"models:/{tags[MODEL_ID]}",
        run_id=run_id,
        tags=tags,
        description=description,
        model_id=tags[MODEL_ID],
    )
    return keep_first(client, list_versions(client, name, tags[CONTENT_KEY]))


def keep_first(client: "MlflowClient", twins: "Sequence[ModelVersion]") -> "ModelVersion":
    """Return the first of versions that hold the same; the others are deleted, unless one is champion.

    Aliases that others gave to one that goes are moved to the first, and that is said on stderr.

    The process that made a later one deletes it at once; if it was killed before that, the next one does.
    """
    first, *later = twins
    for twin in later:
        number = str(twin.version)
        current = _find(partial(client.get_model_version, twin.name, number))
        if current is not None and CHAMPION not in current.aliases:
            _move_aliases(client, current, first)
            _find(partial(client.delete_model_version, twin.name, number))
    if later:
        # An alias goes with its version.
        update_challenger(client, first.name)
    return first


def _move_aliases(client: "MlflowClient", twin: "ModelVersion", first: "ModelVersion") -> None:
    """Let what a person calls a version be the one that stays, which holds the same; MLflow would drop it."""
    for alias in sorted(set(twin.aliases) - {CHALLENGER}):
        client.set_registered_model_alias(first.name, alias, str(first.version))
        warn(
            f"{first.name}@{alias} is moved from version {twin.version}, which is removed, to version "
            f"{first.version}, which holds the same"
        )


def move_alias(client: "MlflowClient", name: str, alias: str, number: int) -> bool:
    """Point an alias at a version; say whether there is such a version."""
    move = partial(client.set_registered_model_alias, name, alias, str(number))
    return _find(lambda: move() or True) is not None


def update_challenger(client: "MlflowClient", name: str) -> None:
    """Point `challenger` at the newest version, also while others come and give way."""
    while (newest := newest_version(client, name)) is not None:
        number = str(newest.version)
        if str(client.get_registered_model(name).aliases.get(CHALLENGER)) == number:
            return
        point = partial(client.set_registered_model_alias, name, CHALLENGER, number)
        _find(partial(write_past_others, point))


def use_stand_in(store: Store, uri: str, stand_ins: Mapping[str, str]) -> str:
    """Return the URI of the model that stands in for the one `uri` names, where only that is registered.

    Args:
        store: where to look.
        uri: a version's URI.
        stand_ins: from the name of a model that could not be had to the name of the one that was.
    """
    name = VersionUri.parse(uri).name
    if name not in stand_ins or is_registered(store.client, name):
        return uri
    print(f"warning: {name} is not registered; {stand_ins[name]} stands in for it", file=sys.stderr)
    return uri.replace(f"models:/{name}", f"models:/{stand_ins[name]}")


def _find(ask: Callable[[], T]) -> T | None:
    """Ask, or do, and take for None what MLflow says of names, numbers and aliases that there are not."""
    from mlflow.exceptions import MlflowException

    try:
        return ask()
    except MlflowException as error:
        # The second is what it says of an alias.
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return None


def _find_version_of_run(client: "MlflowClient", name: str, run_id: str) -> "ModelVersion":
    from mlflow.exceptions import MlflowException

    found = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    if len(found) == 1:
        return found[0]
    if found:
        numbers = ", ".join(str(number) for number in sorted(int(version.version) for version in found))
        raise UsageError(f"run {run_id}: expected a run of one version of {name}, it has {numbers}: name one")
    try:
        twin = client.get_run(run_id).data.tags.get(SAME_BUNDLE_AS)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise UsageError(
            f"run {run_id}: there is no such run; `modelyard history {name}` lists versions"
        ) from None
    if twin and VersionUri.parse(twin).name == name:
        return resolve_version(client, twin)
    raise UsageError(f"run {run_id}: expected the run of a version of {name}, nothing of it is registered so")


def _say_what_there_is(client: "MlflowClient", wanted: VersionUri) -> str:
    versions = list_versions(client, wanted.name)
    if not versions:
        names = _shorten(list_names(client))
        return f"no version of {wanted.name!r} is registered; registered are: {names}"
    if wanted.alias:
        aliases = sorted(client.get_registered_model(wanted.name).aliases)
        return f"expected an alias of {wanted.name}, one of {_shorten(aliases)}"
    numbers = [str(version.version) for version in versions]
    return f"expected a version of {wanted.name}, one of {_shorten(numbers)}"


def _shorten(listed: list[str]) -> str:
    shown = listed if len(listed) <= MOST_LISTED else [*listed[:3], "...", *listed[-3:]]
    return ", ".join(shown) or "none"
