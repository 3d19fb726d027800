"""A real MLflow registry with tiny versions, whose labels say which version answered."""

import copy
import functools
import json
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Collection, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import mlflow
import numpy as np
import yaml
from mlflow.entities import Metric

import tflite_models
from modelyard.evaluation.reports import Predictions, write_predictions
from modelyard.inference.bundle import Bundle, Label
from modelyard.packaging.writing import write_bundle
from modelyard.registry.versions import list_versions
from modelyard.tracking.relocation import relocate

SEVEN = tflite_models.encode(tflite_models.draw_band(7))


class SmallRegistry:
    """A registry of SQLite in `folder`, or that of the server at `uri`."""

    def __init__(self, folder: Path, uri: str | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self.uri = folder, uri or f"sqlite:///{folder}/mlflow.db"
        if uri is None:
            leave_database(folder / "mlflow.db")
        self._connect()
        artifacts = None if uri else (folder / "mlartifacts").as_uri()
        self._experiment: str = self.client.create_experiment("small", artifacts)

    def _connect(self) -> None:
        # A version that is made of a logged model is looked for where the process as a whole points.
        mlflow.set_tracking_uri(self.uri)
        mlflow.set_registry_uri(self.uri)
        self.client: Any = mlflow.MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    def copy(self, folder: Path) -> Self:
        """Return a registry in another folder that begins as this one is; of SQLite alone, and in no time."""
        shutil.copytree(self._folder, folder)
        other = copy.copy(self)
        other._folder, other.uri = folder, f"sqlite:///{folder}/mlflow.db"
        relocate(other.uri)
        other._connect()
        return other

    def execute(self, statement: str, *values: object) -> None:
        """Change the database behind MLflow's back; of SQLite alone."""
        with closing(sqlite3.connect(self._folder / "mlflow.db")) as connection, connection:
            connection.execute(statement, values)

    def multiply(self, name: str, version: int, most: int) -> None:
        """Fill a model up to version `most` with rows like one of its versions, but without its tags."""
        with closing(sqlite3.connect(self._folder / "mlflow.db")) as connection, connection:
            connection.execute(
                "CREATE TEMP TABLE made AS SELECT * FROM model_versions WHERE name = ? AND version = ?",
                (name, version),
            )
            for number in range(version + 1, most + 1):
                connection.execute("UPDATE made SET version = ?", (number,))
                connection.execute("INSERT INTO model_versions SELECT * FROM made")

    def delete_for_good(self, run_id: str) -> None:
        """Let a run be gone, as `mlflow gc` leaves it."""
        self.client.delete_run(run_id)
        for table in ("latest_metrics", "metrics", "params", "tags", "runs"):
            self.execute(f"DELETE FROM {table} WHERE run_uuid = ?", run_id)  # noqa: S608  # of these five

    def add(self, name: str = "mnist", mark: str = "a", model: bytes | None = None) -> int:
        """Register a version whose answer to a seven is `7{mark}`, and return its number."""
        return self.add_bundle(make_bundle(self._folder / f"bundle-{name}-{mark}", name, mark, model))

    def add_bundle(self, bundle: Bundle) -> int:
        """Register a version that answers from a bundle, under the bundle's name; return its number."""
        name = bundle.name
        logged = self.client.create_logged_model(self._experiment, name=name)
        self.client.log_model_artifacts(logged.model_id, str(self._lay_out(bundle)))
        self.client.finalize_logged_model(logged.model_id, "READY")
        if name not in [one.name for one in self.client.search_registered_models()]:
            self.client.create_registered_model(name)
        tags = {"content_key": bundle.content_key, "model_id": logged.model_id, "precision": "float32"}
        tags["size_bytes"] = str(bundle.size_bytes)
        run = self.client.create_run(self._experiment, run_name=bundle.folder.name)
        created = self.client.create_model_version(
            name,
            f"models:/{logged.model_id}",
            run_id=run.info.run_id,
            tags=tags,
            model_id=logged.model_id,
        )
        return int(created.version)

    def point(self, version: int, alias: str = "champion", name: str = "mnist") -> None:
        self.client.set_registered_model_alias(name, alias, str(version))

    def log_metric(self, version: int, key: str, value: float, name: str = "mnist") -> None:
        """Log a metric to a version's logged model, and touch the version as a registration would."""
        self.log_metrics(version, {key: value}, name)

    def log_metrics(self, version: int, metrics: Mapping[str, float], name: str = "mnist") -> None:
        """Log several at once."""
        run_id = self.client.create_run(self._experiment).info.run_id
        found = next(one for one in list_versions(self.client, name) if int(one.version) == version)
        now, model_id = int(time.time() * 1000), found.tags["model_id"]
        logged = [
            Metric(key, value, now, 0, model_id=model_id, run_id=run_id) for key, value in metrics.items()
        ]
        self.client.log_batch(run_id, metrics=logged)
        self.client.update_model_version(name, str(version), "measured")

    def measure(self, version: int, wrong: Collection[int] = (), digest: str = "d" * 64) -> None:
        """Give a version what an evaluation on 1,000 digits leaves, of which it has these ones wrong."""
        labels = np.arange(1000, dtype=np.uint8) % 10
        answers = labels.copy()
        answers[list(wrong)] = (labels[list(wrong)] + 1) % 10
        probabilities = np.full((1000, 10), 0.01, np.float32)
        probabilities[np.arange(1000), answers] = 0.91
        found = self.client.get_model_version("mnist", str(version))
        with tempfile.TemporaryDirectory() as folder:
            write_predictions(Path(folder, "predictions.npz"), Predictions(labels, probabilities, digest))
            report = {
                "bundle": {"content_key": found.tags["content_key"]},
                "images_per_class": {str(digit): 100 for digit in range(10)},
            }
            Path(folder, "report.json").write_text(json.dumps(report))
            self.client.log_artifacts(found.run_id, folder, "evaluation")
        for key, value in (("evaluation.digest", digest), ("git.dirty", "false")):
            self.client.set_model_version_tag("mnist", str(version), key, value)
        metrics = {
            "test/accuracy": 1 - len(wrong) / 1000,
            "test/calibration_error": 0.01,
            "agreement/same_first": 1.0,
            "latency/p50_ms": 0.1,
            "size_bytes": 5000.0,
        }
        logged = [
            Metric(key, value, 0, 0, model_id=found.tags["model_id"], run_id=found.run_id)
            for key, value in metrics.items()
        ]
        self.client.log_batch(found.run_id, metrics=logged)

    def artifacts(self, version: int, name: str = "mnist") -> Path:
        """Return the folder that holds a version's artifacts; of SQLite alone."""
        uri = self.client.get_model_version_download_uri(name, str(version))
        return Path(mlflow.artifacts.download_artifacts(uri))

    def _lay_out(self, bundle: Bundle) -> Path:
        folder = self._folder / f"logged-{bundle.folder.name}"
        shutil.copytree(bundle.folder, folder / "artifacts" / "bundle", dirs_exist_ok=True)
        flavor = {"artifacts": {"bundle": {"path": "artifacts/bundle"}}}
        (folder / "MLmodel").write_text(yaml.safe_dump({"flavors": {"python_function": flavor}}))
        return folder


def make_bundle(folder: Path, name: str = "mnist", mark: str = "a", model: bytes | None = None) -> Bundle:
    return write_bundle(
        folder,
        model=model or tflite_models.digit_model(),
        name=name,
        precision="float32",
        labels=[Label(f"{digit}{mark}") for digit in range(10)],
        preprocessing=tflite_models.DIGIT,
        provenance={},
    )


def leave_database(path: Path) -> None:
    """Leave an empty database of MLflow, as the first use of a store makes it."""
    path.write_bytes(empty_database())


@functools.cache
def empty_database() -> bytes:
    """MLflow's tables, which it takes seconds to make, so they are made once."""
    with tempfile.TemporaryDirectory() as folder:
        uri = f"sqlite:///{folder}/mlflow.db"
        mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri).search_registered_models()
        return Path(folder, "mlflow.db").read_bytes()
