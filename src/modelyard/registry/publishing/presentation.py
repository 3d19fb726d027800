"""What people see of a version in MLflow: its card, as README.md and description, and the link to it."""

import json
import shutil
import tempfile
from pathlib import Path

from modelyard.registry.publishing.model_card import ModelCard
from modelyard.registry.sample_artifacts import SAMPLES
from modelyard.tracking.calls import write_past_others
from modelyard.tracking.lineage import digest
from modelyard.tracking.mlflow_types import MlflowClient, ModelVersion

# What a version's file says last: the digest of the words and figures on its card.
CARD = "card.digest"


def present_version(client: MlflowClient, version: ModelVersion, card: ModelCard, present: str | None) -> str:
    """Write a version's card, unless its digest is that of the `present` one; return its digest.

    README.md, its picture and the sample pictures go beside MLmodel, among the artifacts of the logged model.
    """
    from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

    publication, text = card.publication, card.publication.card
    words = digest({"words": text.model_dump(mode="json"), "evaluation": publication.evaluated})
    if present == words:
        return words
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "README.md").write_text(card.readme(), encoding="utf-8")
        if card.picture:
            shutil.copy(card.picture, folder)
        if (samples := publication.report / SAMPLES).is_dir():
            shutil.copytree(samples, Path(folder, SAMPLES))
        client.log_model_artifacts(card.model_id, folder)
    client.update_registered_model(version.name, text.about)
    client.update_model_version(version.name, str(version.version), card.description())
    # Links the logged model's page to its version, as `mlflow.register_model` does.
    versions = json.dumps([{"name": version.name, "version": int(version.version)}])
    write_past_others(client.set_logged_model_tags, card.model_id, {MLFLOW_MODEL_VERSIONS: versions})
    return words
