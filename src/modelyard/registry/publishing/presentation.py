"""What a person sees of a version in MLflow: its card as README.md and as description, and the link to it."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.registry.publishing.model_card import ModelCard
from modelyard.registry.sample_artifacts import SAMPLES
from modelyard.tracking.lineage import digest, plain
from modelyard.tracking.retries import write_past_others

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

# A version's tag: the digest of the words and the figures on its card, set last.
CARD = "card.digest"


def present_version(client: "MlflowClient", version: "ModelVersion", card: ModelCard, evaluated: str) -> None:
    """Write a version's card, where it has none yet with the same words and of the same evaluation.

    README.md, its picture and the sample pictures go beside MLmodel, among the artifacts of the logged model.
    """
    words = digest({"words": plain(card.text), "evaluation": evaluated})
    if version.tags.get(CARD) == words:
        return
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "README.md").write_text(card.readme(), encoding="utf-8")
        if card.picture:
            shutil.copy(card.picture, folder)
        if card.samples:
            shutil.copytree(card.samples, Path(folder, SAMPLES))
        client.log_model_artifacts(card.model_id, folder)
    client.update_registered_model(version.name, card.text.about)
    client.update_model_version(version.name, str(version.version), card.description())
    _link_model(client, version, card.model_id)
    number = str(version.version)
    write_past_others(lambda: client.set_model_version_tag(version.name, number, CARD, words))


def _link_model(client: "MlflowClient", version: "ModelVersion", model_id: str) -> None:
    """Let the page of the logged model show its version, as `mlflow.register_model` does."""
    from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

    versions = json.dumps([{"name": version.name, "version": int(version.version)}])
    write_past_others(lambda: client.set_logged_model_tags(model_id, {MLFLOW_MODEL_VERSIONS: versions}))
