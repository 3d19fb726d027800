"""What the registry knows of a version: where it came from, how good it is, what it answered."""

import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError
from modelyard.evaluation.reports import Predictions, read_predictions
from modelyard.registry.versions import CONTENT_KEY, EVALUATION, MODEL_ID
from modelyard.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

PREDICTIONS, REPORT = "predictions.npz", "report.json"
# Versions of before each had a folder of its own.
SHARED_EVALUATION = "evaluation"
# A logged model keeps so much of a dataset's digest.
SHORT_DIGEST = 36
# MLflow keeps an infinite metric as the largest number there is.
INFINITE = sys.float_info.max


@dataclass(frozen=True)
class Evidence:
    """A version, as the registry knows it.

    Attributes:
        name: of the model.
        version: its number.
        run_id: of the run that made it, None where it was registered without one.
        aliases: those that point at it now, sorted.
        tags: its own, not its run's.
        params: of its run: what it was trained or packaged with.
        metrics: finite numbers under MLflow's names, the latest of each: what was measured of this very
            version on the data of `dataset_digest`, and what its training reported.
        created: when it was registered, UTC.
    """

    name: str
    version: int
    run_id: str | None
    aliases: tuple[str, ...]
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    created: datetime

    @property
    def uri(self) -> str:
        """Its address for MLflow: `models:/mnist/3`."""
        return f"models:/{self.name}/{self.version}"

    @property
    def content_key(self) -> str:
        """The digest of its bundle; empty where it was not published with modelyard."""
        return self.tags.get(CONTENT_KEY, "")

    @property
    def dataset(self) -> str:
        """The name of what it was measured on: `mnist-test`; empty where it was not."""
        return self.tags.get("evaluation.dataset", "")

    @property
    def dataset_digest(self) -> str:
        """The digest of what it was measured on, sha256 in hex; empty where it was not."""
        return self.tags.get("evaluation.digest", "")

    @property
    def evaluation(self) -> str:
        """The folder, among its run's artifacts, that keeps its evaluation."""
        return self.tags.get(EVALUATION, SHARED_EVALUATION)


@dataclass(frozen=True)
class KeptPredictions:
    """What a version answered to labelled images, and the names of its classes, in order."""

    predictions: Predictions
    classes: tuple[str, ...]


def read_evidence(store: Store, version: "ModelVersion") -> Evidence:
    """Read what the registry, the version's run and its logged model say of it; no artifact is fetched.

    Args:
        store: where it is registered.
        version: with its aliases, as `versions.find_version` gives it.
    """
    run_params, run_metrics = _read_run(store, version.run_id)
    tags = dict(version.tags)
    measured = _read_measurements(store, tags)
    metrics = {**run_metrics, **measured}
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


def read_predictions_of(store: Store, evidence: Evidence) -> Predictions:
    """Fetch the predictions that are kept with a version; see `read_kept_predictions`."""
    return read_kept_predictions(store, evidence).predictions


def read_kept_predictions(store: Store, evidence: Evidence) -> KeptPredictions:
    """Fetch the predictions that are kept with a version, and check that they are its own.

    Raises:
        ModelyardError: there are none; or they are another bundle's, of other data, or damaged.
    """
    if evidence.run_id is None or not _keeps_predictions(store, evidence):
        raise ModelyardError(
            f"{evidence.uri}: expected {evidence.evaluation}/{PREDICTIONS} in its run "
            f"{evidence.run_id or '(it has none)'}, there is no such file: "
            "evaluate the same bundle and register it again"
        )
    with tempfile.TemporaryDirectory() as folder:
        classes = _read_classes(_fetch(store, evidence, REPORT, folder), evidence)
        predictions = _fetch(store, evidence, PREDICTIONS, folder)
        try:
            found = read_predictions(predictions)
        except ModelyardError as error:
            raise ModelyardError(f"{evidence.uri}: {error}".replace(f"{folder}/", "")) from None
    if found.digest != evidence.dataset_digest:
        raise ModelyardError(
            f"{evidence.uri}: expected predictions of {evidence.dataset} {evidence.dataset_digest[:12]}, as "
            f"its tags say, its {PREDICTIONS} is of {found.digest[:12]}: register it again"
        )
    if len(classes) != found.probabilities.shape[1]:
        raise ModelyardError(
            f"{evidence.uri}: expected a class for each of {found.probabilities.shape[1]} outputs, "
            f"its {REPORT} names {len(classes)}: register it again"
        )
    return KeptPredictions(found, classes)


def _read_run(store: Store, run_id: str | None) -> tuple[dict[str, str], dict[str, float]]:
    """Return a run's parameters, and the metrics of its training.

    What was measured of a version is read from its logged model: two versions may share a run, and the run
    keeps the numbers of the later one.
    """
    from mlflow.exceptions import MlflowException

    if not run_id:
        return {}, {}
    try:
        data = store.client.get_run(run_id).data
    except MlflowException as error:
        # A run may be deleted for good while its version stays.
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}, {}
        raise
    training = ("train/", "validation/")
    return dict(data.params), {key: value for key, value in data.metrics.items() if key.startswith(training)}


def _read_measurements(store: Store, tags: Mapping[str, str]) -> dict[str, float]:
    from mlflow.exceptions import MlflowException

    if MODEL_ID not in tags:
        return {}
    try:
        metrics = store.client.get_logged_model(tags[MODEL_ID]).metrics or []
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise
    # The same bundle may have been measured again, on other data even.
    digest = tags.get("evaluation.digest", "")[:SHORT_DIGEST]
    of_this_data = [metric for metric in metrics if metric.dataset_digest in (None, "", digest)]
    latest = sorted(of_this_data, key=lambda metric: (metric.timestamp, metric.step))
    return {metric.key: float(metric.value) for metric in latest}


def _keeps_predictions(store: Store, evidence: Evidence) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        kept = store.client.list_artifacts(evidence.run_id, evidence.evaluation)
    except MlflowException as error:
        # A run may be deleted for good while its version stays; and its tags are any hand's.
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        return False
    return {REPORT, PREDICTIONS} <= {Path(file.path).name for file in kept}


def _fetch(store: Store, evidence: Evidence, name: str, folder: str) -> Path:
    import mlflow
    from mlflow.exceptions import MlflowException

    path = f"{evidence.evaluation}/{name}"
    try:
        return Path(
            mlflow.artifacts.download_artifacts(
                run_id=evidence.run_id, artifact_path=path, dst_path=folder, tracking_uri=store.uri
            )
        )
    except (MlflowException, OSError) as error:
        raise ModelyardError(f"{evidence.uri}: {path} in its run cannot be fetched ({error})") from None


def _read_classes(report: Path, evidence: Evidence) -> tuple[str, ...]:
    """Return the names of the classes from a report of this very version."""
    try:
        facts = json.loads(report.read_bytes())
        key, classes = str(facts["bundle"]["content_key"]), tuple(map(str, facts["images_per_class"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelyardError(
            f"{evidence.uri}: expected a {REPORT} with bundle and images_per_class, got {error!r}: "
            "evaluate the same bundle and register it again"
        ) from None
    if key != evidence.content_key:
        raise ModelyardError(
            f"{evidence.uri}: expected the predictions of the bundle {evidence.content_key[:12]}, "
            f"{evidence.evaluation} in its run holds those of {key[:12]}: "
            "evaluate the same bundle and register it again"
        )
    return classes
