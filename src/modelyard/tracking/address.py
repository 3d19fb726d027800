"""Where the MLflow store is: MLFLOW_TRACKING_URI, or the database in the repository's root.

A database has its artifacts in a folder beside it.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

from modelyard.errors import ModelyardError
from modelyard.repository import find_root

# How long a SQLite connection waits for other writers.
SQLITE_TIMEOUT_S = 120
SERVER_TIMEOUT_S = 5
ARTIFACTS = "mlartifacts"


def tracking_uri() -> str:
    """Return MLFLOW_TRACKING_URI if it is set, else the SQLite file in the repository's root."""
    if uri := os.environ.get("MLFLOW_TRACKING_URI"):
        return uri
    try:
        root = find_root()
    except ModelyardError as error:
        raise ModelyardError(f"{error}, or set MLFLOW_TRACKING_URI") from None
    return f"sqlite:///{root / 'mlflow.db'}?timeout={SQLITE_TIMEOUT_S}"


def database_file(uri: str) -> Path | None:
    """Return the SQLite file that a tracking URI names, None for any other store."""
    if not uri.startswith("sqlite:///"):
        return None
    return Path(uri.removeprefix("sqlite:///").split("?")[0])


def reach_server(uri: str) -> None:
    """Raise an OSError, as all errors of requests are, unless a healthy server answers within 5 s."""
    import requests

    # Streamed, since the body may be of any length, and is not read.
    with requests.get(f"{uri.rstrip('/')}/health", timeout=SERVER_TIMEOUT_S, stream=True) as answer:
        answer.raise_for_status()


def web_address(uri: str) -> str | None:
    """Return the address of MLflow's pages, without name and password; None if `uri` is not a server's."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return None
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}"


if __name__ == "__main__":
    print(tracking_uri())
