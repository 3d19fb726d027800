"""What the registry knows of a version: its origin, and its measurements."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from modelyard.evaluation.measures.classification import confusion_matrix, measure_classes
from modelyard.evaluation.reports import Predictions
from modelyard.nesting import flatten
from modelyard.registry.version_facts import find_logged_model, latest_metrics, read_facts
from modelyard.registry.versions import CONTENT_KEY, EVALUATION
from modelyard.tracking.calls import ask
from modelyard.tracking.mlflow_types import LoggedModel, ModelVersion
from modelyard.tracking.store import Store

# The folder that versions shared before each had its own.
SHARED_EVALUATION = "evaluation"
# A logged model keeps this many characters of a dataset's digest.
SHORT_DIGEST = 36
# MLflow stores an infinite metric as the largest float.
INFINITE = sys.float_info.max


@dataclass(frozen=True)
class Evidence:
    """A version, as the registry knows it."""

    name: str
    version: int
    run_id: str | None  # None if it was registered without a run
    aliases: tuple[str, ...]  # those that point at it now, sorted
    tags: Mapping[str, str]  # its own, not its run's, and what its version.json says in words
    params: Mapping[str, str]  # those of its run: what it was trained or packaged with
    # The latest finite numbers under MLflow's names: what was measured of this version on the data of
    # `dataset_digest`, and what its training reported.
    metrics: Mapping[str, float]
    created: datetime  # when it was registered, UTC

    @property
    def uri(self) -> str:
        """Its address for MLflow: `models:/mnist/3`."""
        return f"models:/{self.name}/{self.version}"

    @property
    def content_key(self) -> str:
        """The digest of its bundle; empty if modelyard did not publish it."""
        return self.tags.get(CONTENT_KEY, "")

    @property
    def dataset(self) -> str:
        """The name of the data it was measured on: `mnist-test`; empty if it was not measured."""
        return self.tags.get("evaluation.dataset", "")

    @property
    def dataset_digest(self) -> str:
        """The sha256 of the data it was measured on, in hex; empty if it was not measured."""
        return self.tags.get("evaluation.digest", "")

    @property
    def evaluation(self) -> str:
        """The folder with its evaluation among its run's artifacts."""
        return self.tags.get(EVALUATION, SHARED_EVALUATION)


def read_evidence(store: Store, version: ModelVersion) -> Evidence:
    """Read what the registry, the version's run and its logged model say of it; no artifact is fetched."""
    run_params, run_metrics = _read_run(store, version.run_id)
    model = find_logged_model(store, version)
    tags = {**version.tags, **(read_facts(store, model) if model else {})}
    metrics = {**run_metrics, **_read_measurements(model, tags)}
    return Evidence(
        name=version.name,
        version=int(version.version),
        run_id=version.run_id or None,
        aliases=tuple(sorted(version.aliases)),
        tags=tags,
        params=run_params,
        metrics={key: value for key, value in sorted(metrics.items()) if abs(value) < INFINITE},
        created=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
    )


def add_classes(evidence: Evidence, predictions: Predictions, classes: Sequence[str]) -> Evidence:
    """Add the metrics of each class, `class/7/recall`, which MLflow does not get: too many to read."""
    measured = measure_classes(confusion_matrix(predictions.probabilities, predictions.labels), classes)
    return replace(evidence, metrics={**evidence.metrics, **flatten({"class": measured}, "/")})


def _read_run(store: Store, run_id: str | None) -> tuple[dict[str, str], dict[str, float]]:
    """Return a run's parameters, and the metrics of its training.

    Versions may share a run, which keeps the measurements of the last one; those of each are read from its
    logged model. A run may be deleted for good while its version stays.
    """
    run = ask(store.client.get_run, run_id) if run_id else None
    if run is None:
        return {}, {}
    metrics, training = run.data.metrics, ("train/", "validation/")
    return dict(run.data.params), {key: metrics[key] for key in metrics if key.startswith(training)}


def _read_measurements(model: LoggedModel | None, tags: Mapping[str, str]) -> dict[str, float]:
    # The same bundle may have been measured again, even on other data.
    digest = tags.get("evaluation.digest", "")[:SHORT_DIGEST]
    metrics = (model.metrics if model else None) or []
    latest = latest_metrics(metric for metric in metrics if metric.dataset_digest in (None, "", digest))
    return {name: float(value) for name, value in latest.items()}
