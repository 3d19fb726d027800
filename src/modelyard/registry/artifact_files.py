"""Files among the artifacts of a logged model, which a stranger may have written."""

import os
import stat
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from modelyard.errors import ModelyardError


class ArtifactError(ModelyardError):
    """The artifacts of a version are missing or hold no bundle; `reason` says so without quoting them."""

    def __init__(self, message: str, reason: str = "its artifacts cannot be fetched") -> None:
        super().__init__(message)
        self.reason = reason


def local_folder(location: str) -> Path | None:
    """Return the folder on this machine that a location names, else None."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return None
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return Path(unquote(parts.path))
    return Path(location) if not parts.scheme else None


def list_files(location: str, uri: str) -> dict[str, Any]:
    """Return MLflow's descriptions of the files and folders in a folder elsewhere, by their names.

    `uri` is that of the tracking server.
    """
    import mlflow

    listed: Any = mlflow.artifacts.list_artifacts(artifact_uri=location, tracking_uri=uri)
    return {PurePosixPath(one.path).name: one for one in listed}


def fetch_file(location: str, name: str, folder: Path, uri: str) -> None:
    """Download a file of a folder elsewhere; what came is still to be checked."""
    import mlflow

    mlflow.artifacts.download_artifacts(f"{location}/{name}", dst_path=str(folder), tracking_uri=uri)


def read_regular(path: Path, most_bytes: int) -> bytes:
    """Return the content of a regular file of at most `most_bytes`.

    Raises OSError if it is missing, a link, or cannot be read, and ValueError if it is a pipe or the like, or
    too large.
    """
    refusal = ValueError(f"expected a regular file of at most {most_bytes} bytes")
    # Non-blocking, because opening a pipe would wait.
    number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise refusal
        with open(number, "rb", closefd=False) as file:
            content = file.read(most_bytes + 1)
    finally:
        os.close(number)
    if len(content) > most_bytes:
        raise refusal
    return content
