"""How MLflow is set up for a command: quiet, and quick to give up."""

import os
from collections.abc import Mapping

QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # A server that went away is reported within seconds, not after MLflow's four minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}

# A person is waiting: a server that hangs is reported after seconds, not after MLflow's eight minutes.
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "15"}


def set_defaults(settings: Mapping[str, str]) -> None:
    """Set environment variables that are not set yet."""
    for name, value in settings.items():
        os.environ.setdefault(name, value)
