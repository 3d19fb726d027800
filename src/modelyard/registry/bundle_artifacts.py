"""A bundle among the artifacts of a logged model, which a stranger may have written.

The file MLmodel says where it lies. Only the four files of a bundle are read or copied, from a folder inside
the artifacts, and only if none is larger than such a file may be.
"""

import re
import stat
import tempfile
from pathlib import Path, PurePosixPath

from modelyard.inference.bundle_files import FILES, MOST_BYTES, BundleError, copy_files, open_file
from modelyard.inference.plain_text import is_plain, show
from modelyard.registry.artifact_files import ArtifactError, fetch_file, list_files, local_folder

DESCRIPTION = "MLmodel"
# MLflow's own files have 2 kB and ten brackets; parsing time grows with the square of the nesting depth.
MOST_DESCRIPTION_BYTES = 20_000
MOST_BRACKETS = 300
NO_BUNDLE = "its MLmodel file names no bundle"


def bring_bundle(location: str, folder: Path | None, uri: str) -> Path:
    """Return the folder of a logged model's bundle on this machine; its digest is not checked yet.

    Artifacts on this machine are used in place unless `folder` asks for a copy. Downloads go to `folder`, or
    to a temporary folder that stays. Raises ArtifactError if the artifacts are missing, hold no bundle, or
    cannot be fetched now.
    """
    try:
        artifacts = local_folder(location)
        if artifacts is None:
            return _download(location, folder or Path(tempfile.mkdtemp(prefix="modelyard-")), uri)
        bundle = _find_inside(artifacts, find_bundle(artifacts / DESCRIPTION))
        if folder is None:
            return bundle
        copy_files(bundle, _make(folder))
    except ArtifactError:
        raise
    except Exception as error:  # MLflow and its clients for buckets raise any
        shown = show(" ".join(f"{type(error).__name__}: {error}".split()))
        raise ArtifactError(f"its artifacts cannot be fetched: {shown}") from error
    return folder / "bundle"


def find_bundle(description: Path) -> str:
    """Return the bundle's path in a logged model, relative and below it, as its MLmodel file says.

    Raises ArtifactError if the file is not MLflow's, or names no such path, and OSError if there is no such
    file.
    """
    import yaml

    found = description.lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_DESCRIPTION_BYTES:
        expected = f"a regular file of at most {MOST_DESCRIPTION_BYTES} bytes"
        raise ArtifactError(f"{NO_BUNDLE}: expected {expected}, found {found.st_size} bytes", NO_BUNDLE)
    try:
        text = description.read_text()
        if text.count("[") + text.count("{") > MOST_BRACKETS:
            raise ValueError(f"expected at most {MOST_BRACKETS} brackets")
        # MLflow writes no aliases; a few bytes of them can expand to gigabytes.
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise ValueError("expected no aliases")
        path = yaml.safe_load(text)["flavors"]["python_function"]["artifacts"]["bundle"]["path"]
    except (yaml.YAMLError, ValueError, KeyError, TypeError, RecursionError) as error:
        shown = show(f"{type(error).__name__}: {error}")
        raise ArtifactError(f"{NO_BUNDLE} ({shown})", NO_BUNDLE) from error
    if not _is_below(path):
        raise ArtifactError(f"{NO_BUNDLE} inside its artifacts, but {show(repr(path), 100)}", NO_BUNDLE)
    return str(path)


def _is_below(path: object) -> bool:
    """Return whether this is a relative path, safe in a URL too, that leads below its start."""
    if not isinstance(path, str) or not path or not is_plain(path) or re.search(r"[\\%?#:]", path):
        return False
    return not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts


def _find_inside(artifacts: Path, path: str) -> Path:
    """Return the bundle's folder if it has all its files, and no link leads to it."""
    bundle = artifacts.resolve(strict=True) / path
    if bundle.resolve(strict=True) != bundle:
        raise BundleError(f"{bundle}: expected a folder, found a link")
    for name in FILES:
        open_file(bundle / name, follow_links=False).close()
    return bundle


def _download(location: str, folder: Path, uri: str) -> Path:
    target = _make(folder)
    _fetch(location, {DESCRIPTION: MOST_DESCRIPTION_BYTES}, folder, uri)
    path = find_bundle(folder / DESCRIPTION)
    _fetch(f"{location}/{path}", MOST_BYTES, target, uri)
    return target


def _fetch(location: str, most_bytes: dict[str, int], folder: Path, uri: str) -> None:
    listed = list_files(location, uri)
    for name, most in most_bytes.items():
        if name not in listed or listed[name].is_dir:
            raise ArtifactError(f"its artifacts cannot be fetched: {name} is missing")
        if (listed[name].file_size or 0) > most:
            raise ArtifactError(f"its artifacts cannot be fetched: {name} has more than {most} bytes")
        fetch_file(location, name, folder, uri)


def _make(folder: Path) -> Path:
    target = folder / "bundle"
    target.mkdir()
    return target
