"""Versions that nobody needs any more, found and deleted."""

from datetime import UTC, datetime, timedelta

from modelyard.params import Prune
from modelyard.registry.champions.history import History
from modelyard.registry.versions import (
    CONTENT_KEY,
    PUBLISHED,
    find_model_id,
    list_versions,
    update_challenger,
)
from modelyard.tracking.calls import ask
from modelyard.tracking.mlflow_types import ModelVersion
from modelyard.tracking.store import Store


def find_prunable(store: Store, name: str, rule: Prune) -> list[ModelVersion]:
    """Return the versions of a model that may be deleted, oldest first.

    Modelyard published them, no alias points to them, they are old enough, and not recent champions.
    """
    terms = History(store, name).read().terms
    champions = dict.fromkeys(str(term.decision.version) for term in reversed(terms) if term.decision.version)
    aliases = store.client.get_registered_model(name).aliases
    spared = {*list(champions)[: rule.keep_champions], *map(str, aliases.values())}
    before = now() - timedelta(days=rule.min_age_days)
    return [
        version
        for version in list_versions(store.client, name)
        if CONTENT_KEY in version.tags
        and str(version.version) not in spared
        and datetime.fromtimestamp(version.creation_timestamp / 1000, UTC) < before
    ]


def find_unfinished(store: Store, name: str) -> list[ModelVersion]:
    """Return the versions whose publication was interrupted or is still going on, oldest first.

    The champion is not among them, nor the version that a pending decision makes champion.
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
    """Return the time from which ages are measured, in UTC."""
    return datetime.now(UTC)


def prune_version(store: Store, version: ModelVersion) -> None:
    """Delete a version and its logged model, not its run; the newest version left becomes challenger."""
    store.client.delete_model_version(version.name, str(version.version))
    if model_id := find_model_id(version):
        ask(store.client.delete_logged_model, model_id)
    update_challenger(store.client, version.name)
