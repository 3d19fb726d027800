"""What `GET /models` says about a model, from the registry and from loaded bundles."""

from typing import Any
from urllib.parse import quote

from modelyard.inference.bundle import Bundle
from modelyard.inference.origin import name_network
from modelyard.registry.versions import CHAMPION, PRECISION
from modelyard.service.models.memory import Memory
from modelyard.service.models.registry_state import RegisteredModel, RegisteredVersion


def describe_model(model: RegisteredModel, memory: Memory, mlflow: str | None) -> dict[str, Any]:
    """Return the plain JSON values of `Models.describe`.

    `mlflow` is the address of MLflow's web pages without a slash at the end, if there are any.
    """
    champion = memory.peek(model.name, None, CHAMPION)
    labels = champion.predictor.bundle.labels if champion else ()
    return {
        "name": model.name,
        "aliases": dict(model.aliases),
        "versions": [_describe_version(model.name, one, memory, mlflow) for one in model.versions.values()],
        "labels": [label.name for label in labels if label.name is not None],
    }


def _describe_version(
    name: str, version: RegisteredVersion, memory: Memory, mlflow: str | None
) -> dict[str, Any]:
    loaded = memory.peek(name, version.version, None)
    return {
        "version": version.version,
        "loaded": loaded is not None,
        "size_bytes": version.size_bytes,
        "metrics": dict(version.metrics),
        "precision": version.tags.get(PRECISION),
        "content_key": version.content_key,
        "network": name_network(loaded.predictor.bundle) if loaded else None,
        "input": _describe_input(loaded.predictor.bundle) if loaded else None,
        "card": f"{mlflow}/#/models/{quote(name, safe='')}/versions/{version.version}" if mlflow else None,
    }


def _describe_input(bundle: Bundle) -> dict[str, int]:
    how = bundle.preprocessing
    return {"height": how.height, "width": how.width, "channels": how.channels}
