"""Runs without a page, for an older modelyard registered their versions: they get one."""

import tempfile
from pathlib import Path

from modelyard.errors import ModelyardError, first_line
from modelyard.failures import warn
from modelyard.registry.artifacts import fetch_bundle
from modelyard.registry.evidence import read_evidence
from modelyard.registry.publishing.run_page import SIZE, show_run
from modelyard.registry.versions import CONTENT_KEY, SAME_BUNDLE_AS, resolve_version
from modelyard.tracking.mlflow_types import ModelVersion, Run
from modelyard.tracking.store import Tracking


def complete_pages(tracking: Tracking) -> None:
    """Give every measured run without a page its name, description, numbers and pictures for charts."""
    from mlflow.exceptions import MlflowException

    for run in tracking.client.search_runs([tracking.experiment_id], "metrics.size_bytes > 0"):
        if SIZE in run.data.metrics:
            continue
        try:
            for version in _find_versions(tracking, run):
                _complete(tracking, version, run.info.run_id)
        except (ModelyardError, MlflowException, OSError) as error:
            warn(f"the charts lack the run {run.info.run_name!r}: {first_line(error)}")


def _find_versions(tracking: Tracking, run: Run) -> list[ModelVersion]:
    if twin := run.data.tags.get(SAME_BUNDLE_AS):
        return [resolve_version(tracking.client, twin)]
    found = tracking.client.search_model_versions(f"run_id = '{run.info.run_id}'")
    return sorted((one for one in found if CONTENT_KEY in one.tags), key=lambda one: int(one.version))


def _complete(tracking: Tracking, version: ModelVersion, run_id: str) -> None:
    import mlflow

    evidence, bundle = read_evidence(tracking, version), fetch_bundle(tracking, version)
    again = None if version.run_id == run_id else run_id
    with tempfile.TemporaryDirectory() as folder:
        plots = mlflow.artifacts.download_artifacts(
            f"runs:/{version.run_id}/{evidence.evaluation}/plots", dst_path=folder, tracking_uri=tracking.uri
        )
        show_run(tracking, version, bundle, evidence.metrics, Path(plots), again)
