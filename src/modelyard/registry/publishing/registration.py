"""A measured bundle becomes a version: run, logged model, metrics, pictures, registry."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelyard.errors import ModelyardError
from modelyard.inference.bundle import Bundle
from modelyard.inference.plain_text import escape
from modelyard.params import Gate
from modelyard.registry.champions.promotion import RefusedError, promote, register_champion
from modelyard.registry.publishing.logged_model import model_arguments
from modelyard.registry.publishing.model_card import ModelCard
from modelyard.registry.publishing.presentation import CARD, present_version
from modelyard.registry.publishing.publication import Publication
from modelyard.registry.publishing.run_page import show_run
from modelyard.registry.version_facts import OURS, keep_facts, read_version_facts, write_facts
from modelyard.registry.versions import (
    CONTENT_KEY,
    EVALUATED,
    EVALUATION,
    MODEL_ID,
    NETWORK_ARTIFACT,
    PRECISION,
    PUBLISHED,
    SAME_BUNDLE_AS,
    SIZE_BYTES,
    create_version,
    keep_first,
    list_versions,
    require_model_id,
    tag_version,
    update_challenger,
)
from modelyard.repository import find_root
from modelyard.tracking.lineage import digest, lineage_tags
from modelyard.tracking.mlflow_types import ModelVersion
from modelyard.tracking.runs import RunDescription, find_or_rebuild_run, log_dataset, log_metrics
from modelyard.tracking.store import Tracking

OF_TRAINING = (
    *("git.commit", "git.dirty", "dvc.experiment", "libraries"),
    *("data.digest", "params.digest", "features.trunk"),
)


def evaluation_folder(bundle: Bundle) -> str:
    """Return the folder of a bundle's evaluation in its run, which has two if it was packaged twice."""
    return f"evaluation/{bundle.precision}-{bundle.content_key[:8]}"


@contextmanager
def publishing(timeout_s: float) -> Iterator[None]:
    """Let one process of this machine publish at a time; raise ModelyardError after `timeout_s`."""
    from filelock import FileLock, Timeout

    path = find_root() / "mlflow.db.publishing.lock"
    try:
        with FileLock(path, timeout=timeout_s):
            yield
    except Timeout:
        raise ModelyardError(
            f"another register still runs after {timeout_s:.0f} s (it holds {path}): wait until it ends, "
            "then run again"
        ) from None


def publish(tracking: Tracking, publication: Publication) -> ModelVersion:
    """Publish a version, or find the one that holds the same bundle.

    Every step can be repeated: the next call completes one that was interrupted. A version that was measured
    again gets the new measurements; if nothing is new, nothing is written.
    """
    bundle, client = publication.bundle, tracking.client
    run_id = _find_run(tracking, publication)
    twins = list_versions(client, bundle.name, bundle.content_key)
    known = keep_first(client, twins) if twins else None
    version = known or _register(tracking, publication, run_id)
    if version.run_id != run_id:
        _follow(tracking, publication, version, run_id)
    known = read_version_facts(tracking, version)
    if known.get(EVALUATED) != publication.evaluated:
        _log_evaluation(tracking, publication, version.run_id, require_model_id(version))
    facts = _list_facts(publication, known)
    tags = {**facts, **version.tags}
    card = ModelCard(publication, int(version.version), require_model_id(version), tags)
    facts[CARD] = present_version(client, version, card, known.get(CARD))
    keep_facts(client, version, facts, known)
    show_run(tracking, version, bundle, publication.metrics, publication.report / "plots")
    if version.tags.get(PUBLISHED):
        return version
    update_challenger(client, bundle.name)
    _register_champion(tracking, publication, int(version.version))
    if publication.gate is not None:
        _ask_gate(tracking, version, publication.gate)
    tag_version(client, version.name, version.version, PUBLISHED, "true")
    return version


def _register(tracking: Tracking, publication: Publication, run_id: str) -> ModelVersion:
    model_id = _log_model(tracking, publication, run_id)
    _log_evaluation(tracking, publication, run_id, model_id)
    _log_network(tracking, publication, run_id)
    write_facts(tracking.client, model_id, _list_facts(publication, {}))
    bundle = publication.bundle
    tags = {
        CONTENT_KEY: bundle.content_key,
        MODEL_ID: model_id,
        PRECISION: bundle.precision,
        SIZE_BYTES: str(bundle.size_bytes),
    }
    name = publication.bundle.name
    return create_version(tracking.client, name, run_id, tags, publication.card.about)


def _register_champion(tracking: Tracking, publication: Publication, number: int) -> None:
    bundle, choice = publication.bundle, publication.choice
    replaces = choice is not None and choice.takes_place
    reason = choice.reason if choice and replaces else "the first of its name"
    if choice:
        place = "takes the place of float32" if replaces else "stays behind float32"
        print(f"{bundle.name} (int8) {place}: {choice.reason}")
    register_champion(tracking, bundle.name, number, reason, replace=replaces)


def _follow(tracking: Tracking, publication: Publication, version: ModelVersion, run_id: str) -> None:
    """Give the run of another training with the same bundle what its version's run has."""
    client = tracking.client
    if client.get_run(run_id).data.tags.get(EVALUATED) == publication.evaluated:
        return
    _log_evaluation(tracking, publication, run_id, require_model_id(version))
    _log_network(tracking, publication, run_id)
    plots = publication.report / "plots"
    show_run(tracking, version, publication.bundle, publication.metrics, plots, again=run_id)
    client.set_tag(run_id, SAME_BUNDLE_AS, f"models:/{version.name}/{version.version}")
    client.set_tag(run_id, EVALUATED, publication.evaluated)


def _ask_gate(tracking: Tracking, version: ModelVersion, gate: Gate) -> None:
    """Promote a version if it passes the gate; a refusal is recorded, and does not fail the stage."""
    try:
        promote(tracking, version.name, str(version.version), gate, reason="auto_promote")
    except RefusedError as refused:
        print(refused)


def _find_run(tracking: Tracking, publication: Publication) -> str:
    """Return the run that trained the bundle, or the one created for a bundle from elsewhere."""
    bundle, client = publication.bundle, tracking.client
    training = bundle.provenance.get("training")
    if training:
        description = RunDescription.from_plain(training["run"])
        return find_or_rebuild_run(tracking, training["run_id"], description, training["history"])
    query = f"tags.kind = 'import' and tags.{CONTENT_KEY} = '{bundle.content_key}'"
    found = client.search_runs([tracking.experiment_id], query, max_results=1)
    if found:
        return str(found[0].info.run_id)
    name = f"{bundle.name} {bundle.precision}"
    tags = {**_origin(publication), CONTENT_KEY: bundle.content_key, "kind": "import"}
    run = client.create_run(tracking.experiment_id, run_name=name, tags=tags)
    client.log_param(run.info.run_id, "package.precision", bundle.precision)
    client.set_terminated(run.info.run_id, "FINISHED")
    return str(run.info.run_id)


def _log_model(tracking: Tracking, publication: Publication, run_id: str) -> str:
    import mlflow

    bundle = publication.bundle
    run = tracking.client.get_run(run_id)
    with tempfile.TemporaryDirectory() as staging, mlflow.start_run(run_id=run_id):
        logged = mlflow.pyfunc.log_model(
            name=bundle.name,
            params=run.data.params,
            tags={CONTENT_KEY: bundle.content_key, "precision": bundle.precision},
            **model_arguments(bundle, Path(staging)),
        )
    return str(logged.model_id)


def _log_evaluation(tracking: Tracking, publication: Publication, run_id: str, model_id: str) -> None:
    """Link metrics to model and dataset, so that the pages of run, model and version show them."""
    from mlflow.entities import Metric

    client, dataset, now = tracking.client, publication.dataset, int(time.time() * 1000)
    metrics = [
        Metric(key, value, now, 0, model_id, dataset.name, dataset.short_digest, run_id)
        for key, value in publication.metrics.items()
    ]
    log_dataset(client, run_id, dataset, "evaluation")
    log_metrics(client, run_id, metrics)
    client.log_artifacts(run_id, str(publication.report), evaluation_folder(publication.bundle))


def _log_network(tracking: Tracking, publication: Publication, run_id: str) -> None:
    if publication.network is not None:
        folder, _ = NETWORK_ARTIFACT.split("/")
        tracking.client.log_artifact(run_id, str(publication.network), folder)


def _list_facts(publication: Publication, known: Mapping[str, str]) -> dict[str, str]:
    """Return what a version's file says: its origin, as it is `known`, and this evaluation."""
    return {
        **{key: value for key, value in _origin(publication).items() if not key.startswith("mlflow.")},
        **{key: known[key] for key in OURS if key in known},
        "evaluation.dataset": publication.dataset.name,
        "evaluation.digest": publication.dataset.digest,
        EVALUATION: evaluation_folder(publication.bundle),
        EVALUATED: publication.evaluated,
    }


def _origin(publication: Publication) -> dict[str, str]:
    """Return where a bundle came from: code, data, parameters, libraries."""
    bundle = publication.bundle
    training: Mapping[str, str] = bundle.provenance.get("training", {}).get("run", {}).get("tags", {})
    origin: Mapping[str, Any] = bundle.provenance.get("source", training)
    tags = {
        **lineage_tags(Path.cwd()),
        "data.digest": digest(origin["sha256"]) if "sha256" in origin else "",
        "params.digest": publication.params_digest,
        # If it was trained here, the commit that trained it, not the one that registers it.
        **{key: training[key] for key in OF_TRAINING if key in training},
        **{key: origin.get(key) or "" for key in ("source", "licence", "homepage", "stand_in_for")},
    }
    return {key: escape(str(value), "\n") for key, value in tags.items() if value}
