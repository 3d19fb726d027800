"""Six clients of one tracking server, each a process, that publish and promote at once.

    python team_clients.py URI BUNDLES

prints one JSON list: what each client has to tell. BUNDLES has a folder for every letter in MARKS. All are
forks of one process that has saved a model once, as that makes MLflow import and read all it needs.
"""

import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import mlflow
from mlflow.exceptions import MlflowException

from conftest import compose_values
from modelyard.errors import ModelyardError
from modelyard.inference.bundle import Bundle, read_bundle
from modelyard.params import validate_params
from modelyard.registry.champions.promotion import promote
from modelyard.registry.publishing.logged_model import model_arguments
from modelyard.registry.publishing.publication import Publication
from modelyard.registry.publishing.registration import publish
from modelyard.tracking.runs import LoggedDataset
from modelyard.tracking.store import open_store, open_tracking

# What each publishes: some what others publish at that moment, some alone.
MARKS = ("a", "a", "a", "b", "b", "c")
PATIENCE_S = 120.0
METRICS = {
    "test/accuracy": 0.99,
    "test/accuracy_low": 0.98,
    "test/accuracy_high": 1.0,
    "agreement/same_first": 1.0,
    "agreement/max_difference": 0.0,
    "latency/p50_ms": 0.1,
    "latency/p99_ms": 0.2,
    "load_ms": 3.0,
    "size_bytes": 5000.0,
}
DATASET = LoggedDataset("digits", "d" * 64, "https://example.org", 1000)
T = TypeVar("T")


def work(uri: str, bundles: Path, number: int) -> dict[str, Any]:
    """Publish and promote what is this client's, and tell which version it was and what went wrong."""
    os.environ["MLFLOW_TRACKING_URI"] = uri
    # Half of them see that the server is gone; the others wait, as MLflow does by itself.
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0" if number % 2 else "5"
    data = validate_params(compose_values()).data
    bundle = read_bundle(bundles / MARKS[number])
    # Any folder does for a report.
    publication = Publication(
        bundle, METRICS, DATASET, bundle.folder, None, "p" * 64, facts={}, card=data.card
    )
    errors: list[str] = []
    version = insist(lambda: publish(open_tracking("digits"), publication), errors)
    reason, wanted = f"client {number}", str(version.version)
    insist(lambda: promote(open_store(), "mnist", wanted, data.gate, reason=reason, force=True), errors)
    return {"content_key": bundle.content_key, "version": int(wanted), "errors": errors}


def insist(run: Callable[[], T], errors: list[str]) -> T:
    """Do it again until it is done, as a person would who reads the message."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return run()
        except (MlflowException, ModelyardError) as error:
            errors.append(f"{type(error).__name__}: {error}"[:300])
            if time.monotonic() > end:
                raise
            time.sleep(random.uniform(0.5, 1.5))  # noqa: S311


def warm_up(bundle: Bundle) -> None:
    """Save a model in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = model_arguments(bundle, Path(folder, "code"))
        mlflow.pyfunc.save_model(Path(folder, "model"), **arguments)


def main(uri: str, bundles: Path) -> None:
    warm_up(read_bundle(bundles / MARKS[0]))
    with multiprocessing.get_context("fork").Pool(len(MARKS)) as pool:
        told = pool.starmap(work, [(uri, bundles, number) for number in range(len(MARKS))], chunksize=1)
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
