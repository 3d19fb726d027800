"""The files of a version's evaluation, which its run keeps: answers to test pictures and recent ones."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from modelyard.errors import ModelyardError
from modelyard.evaluation.reports import Predictions, read_predictions
from modelyard.registry.evidence import Evidence
from modelyard.tracking.calls import INVALID, MISSING, ask
from modelyard.tracking.store import Store

T = TypeVar("T")

PREDICTIONS, REPORT = "predictions.npz", "report.json"
# The predictions of the pictures that were collected from live answers, if there were any.
RECENT = "recent.npz"


def read_kept_predictions(store: Store, evidence: Evidence) -> tuple[Predictions, tuple[str, ...]]:
    """Return a version's predictions and classes; raise ModelyardError if they are missing or not its own."""
    if not {REPORT, PREDICTIONS} <= list_kept(store, evidence):
        raise ModelyardError(
            f"{evidence.uri}: expected {evidence.evaluation}/{PREDICTIONS} in its run "
            f"{evidence.run_id or '(it has none)'}, but there is no such file: "
            "evaluate the same bundle and register it again"
        )
    classes = read_kept(store, evidence, REPORT, lambda path: _read_classes(path, evidence))
    found = read_kept(store, evidence, PREDICTIONS, read_predictions)
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
    return found, classes


def keeps_recent(store: Store, evidence: Evidence) -> bool:
    """Return whether a version was evaluated on recent pictures too."""
    return RECENT in list_kept(store, evidence)


def read_recent_predictions(store: Store, evidence: Evidence) -> Predictions:
    """Return a version's predictions of recent pictures; raise ModelyardError if they cannot be read."""
    return read_kept(store, evidence, RECENT, read_predictions)


def list_kept(store: Store, evidence: Evidence) -> set[str]:
    """Return the names of the files of a version's evaluation; none if its run is gone."""
    # The run may be deleted for good, and anybody can write tags.
    run, refusals = (evidence.run_id, evidence.evaluation), (MISSING, INVALID)
    kept = ask(store.client.list_artifacts, *run, refusals=refusals) if evidence.run_id else None
    return {Path(file.path).name for file in kept or ()}


def read_kept(store: Store, evidence: Evidence, name: str, read: Callable[[Path], T]) -> T:
    """Fetch a file of a version's evaluation, and `read` it; raise ModelyardError if either fails."""
    import mlflow
    from mlflow.exceptions import MlflowException

    path = f"{evidence.evaluation}/{name}"
    uri = f"runs:/{evidence.run_id}/{path}"
    with tempfile.TemporaryDirectory() as folder:
        try:
            fetched = mlflow.artifacts.download_artifacts(uri, dst_path=folder, tracking_uri=store.uri)
            return read(Path(fetched))
        except (MlflowException, OSError) as error:
            raise ModelyardError(f"{evidence.uri}: {path} in its run cannot be fetched ({error})") from None
        except ModelyardError as error:
            raise ModelyardError(f"{evidence.uri}: {error}".replace(f"{folder}/", "")) from None


def _read_classes(report: Path, evidence: Evidence) -> tuple[str, ...]:
    """Return the classes' names from a report, which must be of this very version."""
    try:
        facts = json.loads(report.read_bytes())
        key, classes = str(facts["bundle"]["content_key"]), tuple(map(str, facts["images_per_class"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelyardError(
            f"expected a {REPORT} with bundle and images_per_class, got {error!r}: "
            "evaluate the same bundle and register it again"
        ) from None
    if key != evidence.content_key:
        raise ModelyardError(
            f"expected the predictions of the bundle {evidence.content_key[:12]}, "
            f"{evidence.evaluation} in its run holds those of {key[:12]}: "
            "evaluate the same bundle and register it again"
        )
    return classes
