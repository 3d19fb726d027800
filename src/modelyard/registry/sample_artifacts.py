"""The sample pictures among a version's artifacts, which somebody else may have written."""

import re
import tempfile
from pathlib import Path

from modelyard.inference.decoding.formats import find_format
from modelyard.inference.plain_text import show
from modelyard.registry.artifact_files import (
    ArtifactError,
    fetch_file,
    list_files,
    local_folder,
    read_regular,
)

# The folder beside MLmodel.
SAMPLES = "samples"
MOST, MOST_BYTES = 10, 400_000
_NAME = re.compile(r"\w[\w.-]{0,99}\.(png|jpe?g)")


def read_samples(location: str, uri: str) -> dict[str, bytes]:
    """Return at most ten PNG and JPEG files by their names; none where a version has none.

    `location` is that of the logged model's artifacts, `uri` that of the tracking server. Raises
    ArtifactError if they cannot be fetched now.
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
    if not (found := list_files(location, uri).get(SAMPLES)) or not found.is_dir:
        return
    place = f"{location}/{SAMPLES}"
    for name, one in list(list_files(place, uri).items())[:MOST]:
        if _NAME.fullmatch(name) and not one.is_dir and (one.file_size or 0) <= MOST_BYTES:
            fetch_file(place, name, folder, uri)


def _read(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir() or folder.is_symlink():
        return {}
    names = [path.name for path in sorted(folder.iterdir()) if _NAME.fullmatch(path.name)][:MOST]
    found = {name: _open(folder / name) for name in names}
    return {name: file for name, file in found.items() if find_format(file)}


def _open(path: Path) -> bytes:
    """Return a file's content; nothing of a link, a pipe, or a file that is too large."""
    try:
        return read_regular(path, MOST_BYTES)
    except (OSError, ValueError):
        return b""
