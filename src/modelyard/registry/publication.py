"""A measured bundle becomes a version: run, logged model, metrics, pictures, registry."""

import json
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.errors import ModelyardError
from modelyard.inference.bundle import Bundle, read_bundle
from modelyard.nesting import flatten
from modelyard.params import Card, Gate, Int8, Params
from modelyard.registry.logged_model import model_arguments
from modelyard.registry.model_card import PICTURES, ModelCard
from modelyard.registry.presentation import present_version
from modelyard.registry.promotion import RefusedError, promote, register_champion
from modelyard.registry.versions import (
    CONTENT_KEY,
    EVALUATION,
    MODEL_ID,
    NETWORK_ARTIFACT,
    PUBLISHED,
    SAME_BUNDLE_AS,
    create_version,
    keep_first,
    list_versions,
    update_challenger,
)
from modelyard.repository import find_root
from modelyard.tracking.lineage import digest, lineage_tags, plain
from modelyard.tracking.runs import Dataset, RunDescription, find_or_rebuild_run, log_dataset
from modelyard.tracking.store import Tracking, write_past_others

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


OF_TRAINING = (
    "git.commit",
    "git.dirty",
    "dvc.experiment",
    "libraries",
    "data.digest",
    "params.digest",
    "features.trunk",
)


@dataclass(frozen=True)
class Publication:
    """What is published: a bundle, what was measured on it, and where both came from.

    Attributes:
        bundle: the bundle.
        metrics: flat, as MLflow names them: {"test/accuracy": 0.992}.
        dataset: what the metrics were measured on.
        report: the folder with the pictures and tables of the evaluation.
        network: the `.keras` file that training left, for models trained here.
        promote: make it champion at once, not only when it is the first of its name.
        params_digest: of the parameters that an imported bundle was made with; a trained one brings its own.
        facts: what the evaluation's report.json says beside the metrics.
        card: a person's words for the version's card.
        gates: by registered name, to be asked about a new version; None leaves that to a person.
    """

    bundle: Bundle
    metrics: Mapping[str, float]
    dataset: Dataset
    report: Path
    network: Path | None
    promote: bool
    params_digest: str
    facts: Mapping[str, Any]
    card: Card
    gates: Mapping[str, Gate] | None = None


def evaluation_folder(bundle: Bundle) -> str:
    """Return where a bundle's evaluation is kept among its run's artifacts.

    What was trained once and packaged twice, float32 and int8, are two versions of one run.
    """
    return f"evaluation/{bundle.precision}-{bundle.content_key[:8]}"


def read_publication(bundle: Path, report: Path, model: Path, params: Params) -> Publication:
    """Gather what is published from the folders that earlier stages wrote.

    Args:
        bundle: the bundle's folder.
        report: the evaluation's folder, with metrics.json and report.json.
        model: the trained model's folder; it does not exist for an imported one.
        params: `package.int8` says what an int8 bundle must reach to become champion, `registry` whether
            the gate is asked, and what a card says.

    Raises:
        ModelyardError: conf/registry has no card of the bundle's name.
    """
    packaged = read_bundle(bundle)
    metrics = flatten(json.loads((report / "metrics.json").read_text()), "/")
    facts = json.loads((report / "report.json").read_text())
    network = model / "model.keras"
    return Publication(
        packaged,
        metrics,
        Dataset(**facts["dataset"]),
        report,
        network if network.is_file() else None,
        promote=_is_better_int8(packaged, metrics, params.package.int8),
        params_digest=digest({"pretrained": plain(params.pretrained), "package": plain(params.package)}),
        facts=facts,
        card=_choose_card(params.registry.cards, packaged.name),
        gates=params.registry.gates if params.registry.auto_promote else None,
    )


@contextmanager
def publishing(timeout_s: float) -> Iterator[None]:
    """Let one process of this machine publish at a time.

    Raises:
        ModelyardError: another one did not end within `timeout_s`.
    """
    from filelock import FileLock, Timeout

    path = find_root() / "mlflow.db.publishing.lock"
    try:
        with FileLock(path, timeout=timeout_s):
            yield
    except Timeout:
        raise ModelyardError(
            f"another register still runs after {timeout_s:.0f} s (it holds {path}): let it end, "
            "then run again"
        ) from None


def publish(tracking: Tracking, publication: Publication) -> "ModelVersion":
    """Publish a version, or find the one that holds the same bundle already.

    Every step can be repeated: a call that was cut off is completed by the next one. The run of a training
    that came to a known bundle once more gets the metrics and pictures too.
    """
    bundle, client = publication.bundle, tracking.client
    run_id = _find_run(tracking, publication)
    twins = list_versions(client, bundle.name, bundle.content_key)
    known = keep_first(client, twins) if twins else None
    if known and known.tags.get(PUBLISHED):
        if known.run_id != run_id:
            _log_evaluation(tracking, publication, run_id, known.tags[MODEL_ID])
            client.set_tag(run_id, SAME_BUNDLE_AS, f"models:/{bundle.name}/{known.version}")
        if EVALUATION not in known.tags:
            _keep_evaluation(tracking, publication, known)
        present_version(client, known, _make_card(publication, known))
        return known
    version = known or _register(tracking, publication, run_id)
    present_version(client, version, _make_card(publication, version))
    update_challenger(client, bundle.name)
    reason = "int8, and close enough to its source" if publication.promote else "the first of its name"
    register_champion(tracking, bundle.name, int(version.version), reason, replace=publication.promote)
    if publication.gates is not None:
        _ask_gate(tracking, version, publication.gates)
    _set_tag(client, version, PUBLISHED, "true")
    return version


def _register(tracking: Tracking, publication: Publication, run_id: str) -> "ModelVersion":
    bundle = publication.bundle
    model_id = _log_model(tracking, publication, run_id)
    _log_evaluation(tracking, publication, run_id, model_id)
    tags = {**_tags(publication), MODEL_ID: model_id, EVALUATION: evaluation_folder(bundle)}
    version = create_version(tracking.client, bundle.name, run_id, tags, publication.card.about)
    if version.run_id != run_id:
        tracking.client.set_tag(run_id, SAME_BUNDLE_AS, f"models:/{bundle.name}/{version.version}")
    return version


def _make_card(publication: Publication, version: "ModelVersion") -> ModelCard:
    plots = publication.report / "plots"
    return ModelCard(
        bundle=publication.bundle,
        version=int(version.version),
        model_id=version.tags[MODEL_ID],
        text=publication.card,
        metrics=publication.metrics,
        dataset=publication.dataset,
        facts=publication.facts,
        tags=version.tags,
        picture=next((plots / name for name in PICTURES if (plots / name).is_file()), None),
    )


def _choose_card(cards: Mapping[str, Card], name: str) -> Card:
    if name not in cards:
        raise ModelyardError(
            f"{name}: expected a card of this name in conf/registry (registry.cards), found "
            f"{', '.join(sorted(cards)) or 'none'}: write one, then `dvc repro compose`"
        )
    return cards[name]


def _ask_gate(tracking: Tracking, version: "ModelVersion", gates: Mapping[str, Gate]) -> None:
    """Let a version become champion if it passes; a refusal is on record, and no failure of the stage."""
    try:
        promote(tracking, version.name, str(version.version), gates, reason="auto_promote")
    except RefusedError as refused:
        print(refused)


def _is_better_int8(bundle: Bundle, metrics: Mapping[str, float], int8: Int8) -> bool:
    """Say whether a bundle is the int8 twin of an imported network, and close enough to take its place.

    What was trained here has no twin: another training is no reason to move its champion.
    """
    return (
        bundle.precision == "int8"
        and "training" not in bundle.provenance
        and metrics["agreement/same_first"] >= int8.min_same_first
        and metrics["agreement/max_difference"] <= int8.max_difference
    )


def _find_run(tracking: Tracking, publication: Publication) -> str:
    """The run that trained the bundle; of a bundle that came from elsewhere, a run made for it once."""
    bundle, client = publication.bundle, tracking.client
    training = bundle.provenance.get("training")
    if training:
        description = RunDescription.from_plain(training["run"])
        return find_or_rebuild_run(tracking, training["run_id"], description, training["history"])
    query = f"tags.kind = 'import' and tags.{CONTENT_KEY} = '{bundle.content_key}'"
    found = client.search_runs([tracking.experiment_id], query, max_results=1)
    if found:
        return str(found[0].info.run_id)
    run = client.create_run(
        tracking.experiment_id,
        run_name=f"{bundle.name} {bundle.precision}",
        tags={**_tags(publication), "kind": "import"},
    )
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
    """Metrics linked to model and dataset, so that the pages of run, model and version all show them."""
    from mlflow.entities import Metric

    client, dataset, now = tracking.client, publication.dataset, int(time.time() * 1000)
    metrics = [
        Metric(key, value, now, 0, model_id, dataset.name, dataset.short_digest, run_id)
        for key, value in publication.metrics.items()
    ]
    log_dataset(client, run_id, dataset, "evaluation")
    client.log_batch(run_id, metrics=metrics)
    client.log_artifacts(run_id, str(publication.report), evaluation_folder(publication.bundle))
    if publication.network is not None:
        folder, _ = NETWORK_ARTIFACT.split("/")
        client.log_artifact(run_id, str(publication.network), folder)


def _keep_evaluation(tracking: Tracking, publication: Publication, version: "ModelVersion") -> None:
    """Give a version of before its evaluation had a folder of its own one, with what was measured now."""
    client, bundle, dataset = tracking.client, publication.bundle, publication.dataset
    _log_evaluation(tracking, publication, version.run_id, version.tags[MODEL_ID])
    # The folder is named last: a version that names one has it.
    tags = {**_evaluation_tags(dataset), EVALUATION: evaluation_folder(bundle)}
    for key, value in tags.items():
        _set_tag(client, version, key, value)


def _set_tag(client: "MlflowClient", version: "ModelVersion", key: str, value: str) -> None:
    number = str(version.version)
    write_past_others(lambda: client.set_model_version_tag(version.name, number, key, value))


def _evaluation_tags(dataset: Dataset) -> dict[str, str]:
    return {"evaluation.dataset": dataset.name, "evaluation.digest": dataset.digest}


def _tags(publication: Publication) -> dict[str, str]:
    """What a version says of itself; values that are not known are left out."""
    bundle = publication.bundle
    training: Mapping[str, str] = bundle.provenance.get("training", {}).get("run", {}).get("tags", {})
    origin: Mapping[str, Any] = bundle.provenance.get("source", training)
    tags = {
        **lineage_tags(Path.cwd()),
        "data.digest": digest(origin["sha256"]) if "sha256" in origin else "",
        "params.digest": publication.params_digest,
        # Of what was trained here, the commit that trained it, not the one that registers it.
        **{key: training[key] for key in OF_TRAINING if key in training},
        CONTENT_KEY: bundle.content_key,
        "precision": bundle.precision,
        "size_bytes": str(bundle.size_bytes),
        **_evaluation_tags(publication.dataset),
        **{key: origin.get(key) or "" for key in ("source", "licence", "homepage", "stand_in_for")},
        "proof": json.dumps(bundle.provenance.get("proof", {})),
    }
    return {key: value for key, value in tags.items() if value}
