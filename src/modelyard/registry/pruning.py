"""Versions that nobody needs any more."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from modelyard.params import Prune
from modelyard.registry.champions.history import History
from modelyard.registry.versions import CONTENT_KEY, MODEL_ID, PUBLISHED, list_versions, update_challenger
from modelyard.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion


def find_prunable(store: Store, name: str, rule: Prune) -> "list[ModelVersion]":
    """Return the versions of a model that may go, oldest first.

    No alias points to them, they are older than the rule asks, they were not among the last champions, and
    modelyard has published them.
    """
    spared = set(_recent_champions(store, name, rule.keep_champions))
    spared.update(str(number) for number in store.client.get_registered_model(name).aliases.values())
    before = now() - timedelta(days=rule.min_age_days)
    return [
        version
        for version in list_versions(store.client, name)
        if CONTENT_KEY in version.tags
        and str(version.version) not in spared
        and datetime.fromtimestamp(version.creation_timestamp / 1000, UTC) < before
    ]


def find_unfinished(store: Store, name: str) -> "list[ModelVersion]":
    """Return the versions of a model whose publication was cut off, or goes on just now; oldest first.

    The champion is not among them, nor what a decision that was cut off will make champion.
    """
    past = History(store, name).read()
    spared = {past.champion, past.pending.version if past.pending else None}
    return [
        version
        for version in list_versions(store.client, name)
        if CONTENT_KEY in version.tags
        and PUBLISHED not in version.tags
        and int(version.version) not in spared
    ]


def now() -> datetime:
    """Return the time by which ages are measured, in UTC."""
    return datetime.now(UTC)


def prune_version(store: Store, version: "ModelVersion") -> None:
    """Delete a version and its logged model; the run with its metrics stays, `mlflow gc` frees the disk.

    Where it was the challenger, the newest that is left is challenger.
    """
    from mlflow.exceptions import MlflowException

    store.client.delete_model_version(version.name, str(version.version))
    if model_id := version.tags.get(MODEL_ID):
        try:
            store.client.delete_logged_model(model_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
    update_challenger(store.client, version.name)


def _recent_champions(store: Store, name: str, count: int) -> Iterator[str]:
    """The last champions, the present one among them, each counted once."""
    terms = History(store, name).read().terms
    recent = dict.fromkeys(str(term.decision.version) for term in reversed(terms) if term.decision.version)
    yield from list(recent)[:count]
