"""A check of a file: whether it is a whole picture, and the digests that identify it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from modelyard.images.pictures import LIMITS, digest_arrays
from modelyard.inference.decoding.formats import NAMES, NEITHER, START_BYTES, find_format, name_other
from modelyard.inference.decoding.images import ImageError, decode


@dataclass(frozen=True)
class Look:
    """SHA-256, in hex, of a file, and of its size and RGB pixels, which copies in any format share."""

    sha256: str
    pixels: str


def look_at(path: Path) -> Look | str:
    """Read and decode a file; return the reason if it is not a whole PNG or JPEG."""
    try:
        str(path).encode()
        # Opening a pipe would wait for its other end.
        if not path.is_file():
            return "not a file, or a link that leads nowhere"
        if path.stat().st_size > LIMITS.max_bytes:
            return f"more than {LIMITS.max_bytes:,} bytes"
        if reason := _say_what_else(_read_start(path)):
            return reason
        content = path.read_bytes()
        return Look(hashlib.sha256(content).hexdigest(), digest_arrays(decode(content, LIMITS)))
    except UnicodeEncodeError:
        return "a name that is not UTF-8"
    except ImageError as error:
        return error.reason
    except OSError as error:
        return str(error.strerror)


def is_picture(path: Path) -> bool:
    """Return whether a file is readable, and begins as a PNG or JPEG does."""
    try:
        return path.is_file() and _say_what_else(_read_start(path)) is None
    except OSError:
        return False


def _say_what_else(start: bytes) -> str | None:
    """Return the format of other files by their first bytes, None for PNG and JPEG."""
    if find_format(start):
        return None
    if not start:
        return "empty"
    name = name_other(start)
    return f"{name}, not {NAMES}" if name else NEITHER


def _read_start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(START_BYTES)
