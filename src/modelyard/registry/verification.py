"""Checks of the registry against itself and against the work tree."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modelyard.errors import ModelyardError
from modelyard.inference.bundle import BundleError, read_bundle
from modelyard.inference.runtime.trial import Trials
from modelyard.registry.artifacts import check_bundle
from modelyard.registry.champions.history import History
from modelyard.registry.versions import CHAMPION, CONTENT_KEY, PUBLISHED, list_names, list_versions
from modelyard.tracking.calls import run_exists
from modelyard.tracking.mlflow_types import ModelVersion
from modelyard.tracking.relocation import find_former_folders
from modelyard.tracking.store import Store


@dataclass(frozen=True)
class Finding:
    """A problem with a version `mnist/3`, an alias `mnist@champion`, a model or a folder; and its remedy."""

    subject: str
    problem: str
    remedy: str


def verify_registry(store: Store) -> Iterator[Finding]:
    """Check every model that modelyard published; a moved folder is one finding, not one for each version."""
    moved = find_former_folders(store.uri)
    for folder in moved:
        yield Finding("the registry", f"the folder was moved from {folder}", "`modelyard relocate`")
    with Trials() as trials:
        for name in list_names(store.client):
            versions = [one for one in list_versions(store.client, name) if CONTENT_KEY in one.tags]
            if versions:
                for version in versions:
                    if not moved:
                        yield from _verify_artifacts(store, version, trials)
                    yield from _verify_version(store, version)
                yield from _verify_uniqueness(versions)
                yield from _verify_aliases(store, name)
                yield from _verify_history(store, name)


def verify_tree(store: Store, bundles: Path) -> Iterator[Finding]:
    """Check that the pipeline's bundles, BUNDLES/ROLE/PRECISION, are registered."""
    folders = sorted(path for path in bundles.glob("*/*") if path.is_dir())
    if not folders:
        yield Finding(bundles.name, "it holds none", "`dvc checkout`, or `dvc pull` where the cache is empty")
    for folder in folders:
        subject = f"{bundles.name}/{folder.relative_to(bundles)}"
        try:
            bundle = read_bundle(folder)
        except BundleError as error:
            yield Finding(subject, str(error), f"`dvc checkout --force {bundles.name}/{folder.parent.name}`")
            continue
        found = list_versions(store.client, bundle.name, bundle.content_key)
        if not any(one.tags.get(PUBLISHED) for one in found):
            problem = f"its content {bundle.content_key[:12]} is no version of {bundle.name}"
            yield Finding(subject, problem, "`modelyard reconcile`")


def _verify_artifacts(store: Store, version: ModelVersion, trials: Trials) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory() as folder:
        try:
            check_bundle(store, version, Path(folder), trials.run)
        except ModelyardError as error:
            subject = f"{version.name}/{version.version}"
            problem = str(error).removeprefix(f"models:/{subject}: ")
            yield Finding(subject, problem, "restore the artifact store, or delete the version")


def _verify_version(store: Store, version: ModelVersion) -> Iterator[Finding]:
    subject = f"{version.name}/{version.version}"
    if PUBLISHED not in version.tags:
        remove = f"`modelyard prune {version.name} --unfinished --delete` removes it"
        yield Finding(subject, "its publication was cut off", f"`modelyard reconcile` completes it, {remove}")
    if not run_exists(store.client, version.run_id):
        yield Finding(subject, f"its run {version.run_id} is gone", "restore the run in MLflow")


def _verify_uniqueness(versions: list[ModelVersion]) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for version in versions:
        other = first.setdefault(version.tags[CONTENT_KEY], version.version)
        if other != version.version:
            subject = f"{version.name}/{version.version}"
            yield Finding(subject, f"it holds the same as version {other}", "delete the later one")


def _verify_aliases(store: Store, name: str) -> Iterator[Finding]:
    there = {str(one.version): one for one in list_versions(store.client, name)}
    aliases = {key: str(number) for key, number in store.client.get_registered_model(name).aliases.items()}
    for alias, number in sorted(aliases.items()):
        if number not in there:
            problem = f"it points to version {number}, which is gone"
            yield Finding(f"{name}@{alias}", problem, "move the alias")
    champion = there.get(aliases.get(CHAMPION, ""))
    if champion is not None and CONTENT_KEY not in champion.tags:
        problem = f"version {champion.version} was not published by modelyard: the service cannot serve it"
        yield Finding(f"{name}@{CHAMPION}", problem, f"`modelyard rollback {name}`")


def _verify_history(store: Store, name: str) -> Iterator[Finding]:
    try:
        past = History(store, name).read()
    except ModelyardError as error:
        yield Finding(f"{name}'s history", str(error), "read it with the modelyard that wrote it")
        return
    subject = f"{name}@{CHAMPION}"
    if past.deleted:
        remedy = "`modelyard reconcile` restores it, or begins a new one if it is gone for good"
        yield Finding(f"{name}'s history", "its run was deleted in MLflow", remedy)
    if past.champion is None:
        rollback, promote = f"`modelyard rollback {name}`", f"`modelyard promote {name} VERSION`"
        yield Finding(subject, "there is none", rollback if past.predecessors else promote)
    if pending := past.pending:
        problem = f"decision {pending.number} for {pending.subject} was cut off"
        yield Finding(subject, problem, "`modelyard reconcile`")
    if noticed := past.noticed:
        done = "removed" if noticed.version is None else f"moved to {noticed.subject}"
        remedy = "`modelyard reconcile` records that"
        yield Finding(subject, f"it was {done} without modelyard", remedy)
