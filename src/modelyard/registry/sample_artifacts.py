"""The sample pictures among a version's artifacts, which somebody else may have written."""

import os
import re
import stat
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

from modelyard.inference.decoding.formats import find_format
from modelyard.inference.plain_text import show
from modelyard.registry.bundle_artifacts import ArtifactError, local_folder

# The folder beside MLmodel.
SAMPLES = "samples"
MOST, MOST_BYTES = 10, 400_000
_NAME = re.compile(r"\w[\w.-]{0,99}\.(png|jpe?g)")


def read_samples(location: str, uri: str) -> dict[str, bytes]:
    """Return at most ten PNG and JPEG files by their names; none where a version has none.

    Args:
        location: the logged model's artifacts.
        uri: of the tracking server.

    Raises:
        ArtifactError: the artifacts cannot be fetched now.
    """
    try:
        artifacts = local_folder(location)
        if artifacts is not None:
            return _read(artifacts / SAMPLES)
        with tempfile.TemporaryDirectory(prefix="modelyard-") as folder:
            _download(location, Path(folder), uri)
            return _read(Path(folder))
    except Exception as error:  # MLflow, and what fetches from a bucket for it, raise any
        shown = show(" ".join(f"{type(error).__name__}: {error}".split()))
        raise ArtifactError(
            f"its samples cannot be fetched: {shown}", "its samples cannot be fetched"
        ) from error


def _download(location: str, folder: Path, uri: str) -> None:
    import mlflow

    def browse(place: str) -> dict[str, Any]:
        listed: Any = mlflow.artifacts.list_artifacts(artifact_uri=place, tracking_uri=uri)
        return {PurePosixPath(one.path).name: one for one in listed}

    if not (found := browse(location).get(SAMPLES)) or not found.is_dir:
        return
    place = f"{location}/{SAMPLES}"
    for name, one in list(browse(place).items())[:MOST]:
        if _NAME.fullmatch(name) and not one.is_dir and (one.file_size or 0) <= MOST_BYTES:
            mlflow.artifacts.download_artifacts(f"{place}/{name}", dst_path=str(folder), tracking_uri=uri)


def _read(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir() or folder.is_symlink():
        return {}
    names = [path.name for path in sorted(folder.iterdir()) if _NAME.fullmatch(path.name)][:MOST]
    found = {name: _open(folder / name) for name in names}
    return {name: file for name, file in found.items() if find_format(file)}


def _open(path: Path) -> bytes:
    """Return a regular file's content; nothing of a link, a pipe, or a file that is too large."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return b""
    about = os.fstat(number)
    if not stat.S_ISREG(about.st_mode) or about.st_size > MOST_BYTES:
        os.close(number)
        return b""
    with os.fdopen(number, "rb") as file:
        return file.read()
