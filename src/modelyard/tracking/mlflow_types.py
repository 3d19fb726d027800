"""MLflow's types for annotations: importing MLflow takes seconds, so each function imports what it calls."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run
    from mlflow.entities.model_registry import ModelVersion, RegisteredModel
else:
    LoggedModel = MlflowClient = ModelVersion = RegisteredModel = Run = Any

__all__ = ["LoggedModel", "MlflowClient", "ModelVersion", "RegisteredModel", "Run"]
