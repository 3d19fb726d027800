"""Versions in the MLflow registry: found by what they hold, or named by number, alias or run."""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from modelyard.errors import ModelyardError, UsageError
from modelyard.failures import warn
from modelyard.tracking.calls import EXISTS, INVALID, MISSING, ask, write_past_others
from modelyard.tracking.mlflow_types import MlflowClient, ModelVersion, RegisteredModel
from modelyard.tracking.store import Store

CHAMPION, CHALLENGER = "champion", "challenger"
CONTENT_KEY = "content_key"
# Of the logged model, for people and other programs; `find_model_id` reads the version's source.
MODEL_ID = "model_id"
# Set last: without it, publication was interrupted, and is repeated.
PUBLISHED = "published"
PRECISION, SIZE_BYTES = "precision", "size_bytes"
# The folder of a version's evaluation among its run's artifacts; the oldest versions do not say.
EVALUATION = "evaluation.artifacts"
# The digest of what was measured; written last, so that an interrupted evaluation is logged again.
EVALUATED = "evaluation.record"
# The tag of a run whose bundle was already a version names that version.
SAME_BUNDLE_AS = "same_bundle_as"
NETWORK_ARTIFACT = "network/model.keras"
# Databases take no larger version number.
HIGHEST_NUMBER = 2**31
MOST_LISTED = 20
# MLflow answers INVALID to an alias that does not exist.
_find = partial(ask, refusals=(MISSING, INVALID))


class VersionUri(NamedTuple):
    """`models:/NAME@ALIAS`, `models:/NAME/3` or `models:/NAME/latest`, taken apart."""

    name: str
    alias: str | None
    number: str | None

    @classmethod
    def parse(cls, uri: str) -> "VersionUri":
        """Take a URI apart; a ModelyardError says if it is none of the three."""
        match = re.fullmatch(r"models:/([^/@]+)(?:@([^/@]+)|/([0-9]+|latest))", uri)
        if match is None:
            raise ModelyardError(
                f"expected models:/NAME@ALIAS, models:/NAME/3 or models:/NAME/latest, got {uri!r}"
            )
        return cls(*match.groups())


def list_names(client: MlflowClient) -> list[str]:
    """Return the names of all registered models, sorted."""
    return sorted(model.name for model in _read_pages(client.search_registered_models))


def list_versions(client: MlflowClient, name: str, content_key: str | None = None) -> list[ModelVersion]:
    """Return the versions of a name, oldest first; with a content key, only those that have it."""
    # A quote in a name would end the string in MLflow's filter: then all versions are searched.
    query = None if "'" in name else f"name = '{name}'"
    if query and content_key:
        query += f" and tags.{CONTENT_KEY} = '{content_key}'"
    found = _read_pages(client.search_model_versions, query, max_results=1000)
    own = [one for one in found if one.name == name and content_key in (None, one.tags.get(CONTENT_KEY))]
    return sorted(own, key=lambda version: int(version.version))


def get_model(client: MlflowClient, name: str) -> RegisteredModel:
    """Return a registered model; raise UsageError, which lists the names, if there is none."""
    model = ask(client.get_registered_model, name)
    if model is None:
        raise UsageError(_say_unregistered(client, name))
    return model


def resolve_version(client: MlflowClient, uri: str) -> ModelVersion:
    """Return the version that a URI names now; raise UsageError, which lists the choices, if none."""
    wanted = VersionUri.parse(uri)
    found = None
    if wanted.alias:
        found = _find(client.get_model_version_by_alias, wanted.name, wanted.alias)
    elif wanted.number == "latest":
        found = newest_version(client, wanted.name)
    elif len(str(wanted.number)) < 11 and int(str(wanted.number)) < HIGHEST_NUMBER:
        found = _find(client.get_model_version, wanted.name, str(wanted.number))
    if found is None:
        raise UsageError(f"{uri}: {_list_choices(client, wanted)}")
    return found


def find_version(client: MlflowClient, name: str, reference: str) -> ModelVersion:
    """Return the version of a name with this number, alias, `latest` or run id; raise UsageError if none."""
    if not re.fullmatch(r"""[^/@:'"]+""", name) or not re.fullmatch("[^/@]+", reference):
        raise UsageError(
            f"expected a model's name and a version's number, alias or run id, got {name!r} and {reference!r}"
        )
    if re.fullmatch("[0-9a-f]{32}", reference):
        return _find_version_of_run(client, name, reference)
    separator = "/" if re.fullmatch(r"[0-9]+|latest", reference) else "@"
    return resolve_version(client, f"models:/{name}{separator}{reference}")


def find_model_id(version: ModelVersion) -> str | None:
    """Return the id of a version's logged model, None if it was made of something else.

    The source says it, which nobody can change; anybody may change a tag.
    """
    found = re.fullmatch(r"models:/(m-[0-9a-f]{32})", version.source or "")
    return found[1] if found else version.tags.get(MODEL_ID)


def require_model_id(version: ModelVersion) -> str:
    """Return the id of a version's logged model; raise ModelyardError if it has none."""
    if (model_id := find_model_id(version)) is None:
        raise ModelyardError(
            f"models:/{version.name}/{version.version}: expected a version made of a logged model, got one "
            f"of {version.source}: delete it, and run `make repro`"
        )
    return model_id


def newest_version(client: MlflowClient, name: str) -> ModelVersion | None:
    """Return the version with the highest number, None if the name has none."""
    order = ["version_number DESC"]
    found = client.search_model_versions(f"name = '{name}'", max_results=1, order_by=order)
    return found[0] if found else None


def create_version(
    client: MlflowClient, name: str, run_id: str, tags: dict[str, str], description: str
) -> ModelVersion:
    """Register the logged model that the tags name, and return the one version that has its content key.

    If two machines register at once, or MLflow asks its server twice because the first answer was lost, the
    later of the two versions is removed.
    """
    ask(client.create_registered_model, name, refusals=(EXISTS,))
    model_id = tags[MODEL_ID]
    facts = {"run_id": run_id, "tags": tags, "description": description, "model_id": model_id}
    client.create_model_version(name, f"models:/{model_id}", **facts)
    return keep_first(client, list_versions(client, name, tags[CONTENT_KEY]))


def keep_first(client: MlflowClient, twins: Sequence[ModelVersion]) -> ModelVersion:
    """Return the first of versions with the same content; delete the others, except a champion.

    Aliases that people gave to a deleted version move to the first, with a warning. Whoever registers the
    same bundle next deletes what a killed process left.
    """
    first, *later = twins
    for twin in later:
        number = str(twin.version)
        current = _find(client.get_model_version, twin.name, number)
        if current is not None and CHAMPION not in current.aliases:
            _move_aliases(client, current, first)
            _find(client.delete_model_version, twin.name, number)
    if later:
        # An alias goes with its version.
        update_challenger(client, first.name)
    return first


def _move_aliases(client: MlflowClient, twin: ModelVersion, first: ModelVersion) -> None:
    for alias in sorted(set(twin.aliases) - {CHALLENGER}):
        client.set_registered_model_alias(first.name, alias, str(first.version))
        warn(
            f"{first.name}@{alias} is moved from version {twin.version}, which is removed, to version "
            f"{first.version}, which holds the same"
        )


def move_alias(client: MlflowClient, name: str, alias: str, number: int) -> bool:
    """Point an alias at a version; return whether the version exists."""
    move = partial(client.set_registered_model_alias, name, alias, str(number))
    return _find(lambda: move() or True) is not None


def tag_version(client: MlflowClient, name: str, number: int | str, key: str, value: str) -> None:
    """Set a version's tag, even while others write it."""
    write_past_others(client.set_model_version_tag, name, str(number), key, value)


def update_challenger(client: MlflowClient, name: str) -> None:
    """Point `challenger` at the newest version, even while others register and remove versions."""
    while (newest := newest_version(client, name)) is not None:
        number = str(newest.version)
        if str(client.get_registered_model(name).aliases.get(CHALLENGER)) == number:
            return
        _find(write_past_others, client.set_registered_model_alias, name, CHALLENGER, number)


def use_stand_in(store: Store, uri: str, stand_ins: Mapping[str, str]) -> str:
    """Return a version's URI, with the name of its stand-in if only the stand-in is registered.

    `stand_ins` maps the name of a model that could not be obtained to that of its stand-in.
    """
    name = VersionUri.parse(uri).name
    if name not in stand_ins or _find(store.client.get_registered_model, name) is not None:
        return uri
    warn(f"{name} is not registered; {stand_ins[name]} stands in for it")
    return uri.replace(f"models:/{name}", f"models:/{stand_ins[name]}")


def _find_version_of_run(client: MlflowClient, name: str, run_id: str) -> ModelVersion:
    found = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    if len(found) == 1:
        return found[0]
    if found:
        numbers = ", ".join(str(number) for number in sorted(int(version.version) for version in found))
        raise UsageError(f"run {run_id}: expected a run of one version of {name}, got {numbers}: name one")
    run = ask(client.get_run, run_id)
    if run is None:
        raise UsageError(f"run {run_id}: there is no such run; `modelyard history {name}` lists versions")
    twin = run.data.tags.get(SAME_BUNDLE_AS)
    if twin and VersionUri.parse(twin).name == name:
        return resolve_version(client, twin)
    raise UsageError(f"run {run_id}: expected the run of a version of {name}, none was registered from it")


def _read_pages(search: Any, *arguments: Any, **options: Any) -> list[Any]:
    found, token = [], None
    while token != "":
        page = search(*arguments, page_token=token, **options)
        found += page
        token = page.token or ""
    return found


def _list_choices(client: MlflowClient, wanted: VersionUri) -> str:
    versions = list_versions(client, wanted.name)
    if not versions:
        return _say_unregistered(client, wanted.name)
    if wanted.alias:
        aliases = sorted(client.get_registered_model(wanted.name).aliases)
        return f"expected an alias of {wanted.name}, one of {_shorten(aliases)}"
    numbers = [str(version.version) for version in versions]
    return f"expected a version of {wanted.name}, one of {_shorten(numbers)}"


def _say_unregistered(client: MlflowClient, name: str) -> str:
    return f"no version of {name!r} is registered; registered are: {_shorten(list_names(client))}"


def _shorten(listed: list[str]) -> str:
    shown = listed if len(listed) <= MOST_LISTED else [*listed[:3], "...", *listed[-3:]]
    return ", ".join(shown) or "none"
