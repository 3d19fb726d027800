"""The files of a bundle, which may come from anybody: only regular files of bounded size are read."""

import json
import os
import shutil
import stat
from io import BufferedReader
from pathlib import Path
from typing import Any

MODEL = "model.tflite"
LABELS = "labels.json"
PREPROCESSING = "preprocessing.json"
PROVENANCE = "provenance.json"
CONTENT = (MODEL, LABELS, PREPROCESSING)
FILES = (*CONTENT, PROVENANCE)
# Limits of each file, in bytes. LiteRT's format ends at 2 GiB; a hundred thousand labels take 16 MB.
MOST_BYTES = {MODEL: 2**31 - 1, LABELS: 16_000_000, PREPROCESSING: 100_000, PROVENANCE: 4_000_000}


class BundleError(ValueError):
    """A folder is not a bundle that can answer; the message names the folder or the file.

    Attributes:
        reason: the same in a few words without paths or foreign text, for those who may not see more.
    """

    def __init__(self, message: str, reason: str = "it is no bundle that can answer") -> None:
        super().__init__(message)
        self.reason = reason


def open_file(path: Path, *, follow_links: bool = True) -> BufferedReader:
    """Open one of a bundle's files; raises BundleError if it is missing, too large, or no regular file."""
    # Non-blocking, because opening a pipe would wait.
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow_links else os.O_NOFOLLOW)
    try:
        file = os.fdopen(os.open(path, flags), "rb")
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}: a bundle has this file") from None
    found, most = os.fstat(file.fileno()), MOST_BYTES[path.name]
    if stat.S_ISREG(found.st_mode) and found.st_size <= most:
        return file
    file.close()
    raise BundleError(f"{path}: expected a regular file of at most {most} bytes, found {found.st_size} bytes")


def copy_files(source: Path, target: Path) -> None:
    """Copy a bundle's files, and nothing else, into a folder that is there.

    Raises BundleError if a file is missing, a link, not a regular file, or too large, and OSError if the
    target cannot be written.
    """
    for name in FILES:
        with open_file(source / name, follow_links=False) as file, (target / name).open("xb") as new:
            shutil.copyfileobj(file, new, 1 << 20)


def read_json(path: Path) -> Any:
    """Read one of a bundle's files of JSON.

    Raises BundleError if it cannot be opened, is not JSON, or holds values that JSON cannot express.
    """
    with open_file(path) as file:
        content = file.read()
    try:
        value = json.loads(content)
        # Python's json accepts lone surrogates ("\ud800") and NaN, but an answer could contain neither.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path} is not JSON: {error}") from None
    return value
