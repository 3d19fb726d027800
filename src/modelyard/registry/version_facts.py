"""A version's file version.json beside MLmodel: where it came from, and what was measured.

Its tags are few, because people read them. Versions of older modelyards have these facts as tags.
"""

import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from modelyard.errors import ModelyardError
from modelyard.registry.artifact_files import fetch_file, list_files, local_folder, read_regular
from modelyard.registry.versions import EVALUATED, EVALUATION, find_model_id, require_model_id
from modelyard.tracking.calls import ask, is_unanswered
from modelyard.tracking.mlflow_types import LoggedModel, MlflowClient, ModelVersion
from modelyard.tracking.store import Store

FACTS = "version.json"
MOST_BYTES = 200_000
# What it says. Older modelyards set these as tags, and those in DROPPED too.
OURS = frozenset(
    {
        *("git.commit", "git.dirty", "dvc.stage", "dvc.experiment", "dvc.baseline", "libraries"),
        *("data.digest", "params.digest", "features.trunk"),
        *("source", "licence", "homepage", "stand_in_for"),
        *("evaluation.dataset", "evaluation.digest", EVALUATION, EVALUATED, "card.digest"),
    }
)
SOURCE = "mlflow.source"
DROPPED = frozenset({"proof", "mlflow.user", f"{SOURCE}.git.commit", f"{SOURCE}.name", f"{SOURCE}.type"})


def read_facts(store: Store, model: LoggedModel) -> dict[str, str]:
    """Return what the file of a version's logged model says in words; nothing where there is no file.

    Raises ModelyardError if the file cannot be fetched, or is none of modelyard's, and MlflowException if the
    server does not answer.
    """
    from mlflow.exceptions import MlflowException

    try:
        text = _read(str(model.artifact_location), store.uri)
        found = json.loads(text) if text else {}
        return {str(key): value for key, value in found.items() if isinstance(value, str)}
    except (MlflowException, OSError, ValueError, AttributeError, RecursionError) as error:
        if is_unanswered(error):
            raise
        raise ModelyardError(
            f"{model.name}, logged model {model.model_id}: expected a {FACTS} with names and values, got "
            f"{type(error).__name__}: publish its bundle again with `make repro`"
        ) from None


def keep_facts(
    client: MlflowClient, version: ModelVersion, facts: Mapping[str, str], known: Mapping[str, str]
) -> None:
    """Write the file of a version unless all of it is `known`; remove tags that it replaces."""
    old = version.tags.keys() & (OURS | DROPPED)
    if old or any(known.get(key) != value for key, value in facts.items()):
        write_facts(client, require_model_id(version), facts)
    for key in sorted(old):
        ask(client.delete_model_version_tag, version.name, str(version.version), key)


def write_facts(client: MlflowClient, model_id: str, facts: Mapping[str, str]) -> None:
    """Write the file of a logged model, in the place of an older one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, FACTS)
        path.write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        client.log_model_artifact(model_id, str(path))


def read_version_facts(store: Store, version: ModelVersion) -> dict[str, str]:
    """Return a version's tags, and over them what its file says."""
    model = find_logged_model(store, version)
    return {**version.tags, **(read_facts(store, model) if model else {})}


def find_logged_model(store: Store, version: ModelVersion) -> LoggedModel | None:
    """Return the logged model that a version was made of; None if it is gone, or others made the version."""
    model_id = find_model_id(version)
    return ask(store.client.get_logged_model, model_id) if model_id else None


def latest_metrics(metrics: Iterable[Any]) -> dict[str, float]:
    """Return metrics by their names; where one was logged more than once, its latest value counts."""
    return {one.key: one.value for one in sorted(metrics, key=lambda one: (one.timestamp, one.step))}


def _read(location: str, uri: str) -> str:
    folder = local_folder(location)
    if folder is not None:
        path = folder / FACTS
        there = path.is_file() and not path.is_symlink()
        return read_regular(path, MOST_BYTES).decode() if there else ""
    if FACTS not in list_files(location, uri):
        return ""
    with tempfile.TemporaryDirectory(prefix="modelyard-") as target:
        fetch_file(location, FACTS, Path(target), uri)
        return read_regular(Path(target, FACTS), MOST_BYTES).decode()
