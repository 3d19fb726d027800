"""A real MLflow registry whose versions were tested on a few labelled images, and keep what they answered."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.entities import Metric

from modelyard.evaluation.measures.classification import measure_answers
from modelyard.evaluation.reports import Predictions, write_predictions
from modelyard.images.pictures import Pictures, PixelPictures
from modelyard.nesting import flatten
from modelyard.registry.versions import find_version
from modelyard.tracking.store import Tracking
from small_registry import SmallRegistry

CLASSES = tuple(str(digit) for digit in range(10))
# Each image has a pixel of its own, so that a mix-up of two shows.
PICTURES = PixelPictures(
    np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1], np.uint8),
    CLASSES,
    np.arange(12 * 784, dtype=np.uint32).astype(np.uint8).reshape(12, 28, 28),
)
RIGHT = tuple(PICTURES.labels.tolist())


class EvaluatedRegistry(SmallRegistry):
    """Versions by low-level calls, in milliseconds; `test_versions` shows that `publish` leaves the same."""

    @property
    def tracking(self) -> Tracking:
        return Tracking(self.client, self.uri, self._experiment)

    def start_run(self, params: Mapping[str, str] | None = None) -> str:
        run = self.client.create_run(self._experiment)
        for key, value in (params or {}).items():
            self.client.log_param(run.info.run_id, key, value)
        self.client.log_metric(run.info.run_id, "train/loss", 0.5)
        run_id: str = run.info.run_id
        return run_id

    def evaluate(
        self,
        answers: Sequence[int] = RIGHT,
        *,
        run_id: str | None = None,
        folder: str | None = None,
        tags: Mapping[str, str] | None = None,
        pictures: Pictures = PICTURES,
    ) -> int:
        """Register a version of `mnist` that answered so, sure to 0.91, and return its number.

        Args:
            answers: a class for each image of `pictures`.
            run_id: of its run; None starts one.
            folder: that keeps its evaluation; None makes one of its own and tags the version with it.
            tags: beside those of a publication.
            pictures: the test images.
        """
        run_id = run_id or self.start_run()
        probabilities = np.full((len(answers), 10), 0.01, np.float32)
        probabilities[np.arange(len(answers)), list(answers)] = 0.91
        key = f"{len(list(self._folder.iterdir())):08d}" * 8
        kept = {} if folder else {"evaluation.artifacts": f"evaluation/float32-{key[:8]}"}
        report = self._folder / f"report-{key[:8]}"
        report.mkdir()
        names = tuple(pictures.name(place) for place in range(len(pictures)))
        write_predictions(
            report / "predictions.npz", Predictions(pictures.labels, probabilities, pictures.digest, names)
        )
        facts = {
            "bundle": {"content_key": key},
            "images_per_class": dict.fromkeys(CLASSES, 1),
        }
        (report / "report.json").write_text(json.dumps(facts))
        self.client.log_artifacts(run_id, str(report), folder or kept["evaluation.artifacts"])
        metrics = flatten({"test": measure_answers(probabilities, pictures.labels, 10)}, "/")
        metrics |= {"latency/p50_ms": 0.1, "size_bytes": 1_651_929}
        return self._register(
            "mnist", run_id, metrics, pictures.digest, {"content_key": key, **kept, **(tags or {})}
        )

    def evaluate_unlabelled(self, p50_ms: float, digest: str = "e" * 64) -> int:
        """Register a version of `colours`, which was measured without labels."""
        metrics = {"agreement/same_first": 1.0, "agreement/images": 2, "latency/p50_ms": p50_ms}
        tags = {"content_key": f"{p50_ms:064.0f}", "evaluation.dataset": "sample-pictures"}
        return self._register("colours", self.start_run(), metrics, digest, tags)

    def kept(self, version: int) -> Path:
        """Return the folder that keeps a version's evaluation."""
        found = find_version(self.client, "mnist", str(version))
        location = self.client.get_run(found.run_id).info.artifact_uri.removeprefix("file://")
        return Path(location, found.tags["evaluation.artifacts"])

    def _register(
        self, name: str, run_id: str, metrics: Mapping[str, float], digest: str, tags: Mapping[str, str]
    ) -> int:
        logged = self.client.create_logged_model(self._experiment, name=name)
        timed = [
            Metric(key, value, 1000, 0, logged.model_id, "mnist-test", digest[:36], run_id)
            for key, value in metrics.items()
        ]
        self.client.log_batch(run_id, metrics=timed)
        if not self.client.search_registered_models(f"name = '{name}'"):
            self.client.create_registered_model(name)
        all_tags: dict[str, Any] = {
            "model_id": logged.model_id,
            "precision": "float32",
            "evaluation.dataset": "mnist-test",
            "evaluation.digest": digest,
            **tags,
        }
        created = self.client.create_model_version(
            name, f"models:/{logged.model_id}", run_id=run_id, tags=all_tags, model_id=logged.model_id
        )
        return int(created.version)
