"""What a PNG or JPEG file is built of, seen before a decoder works on it.

Pillow shows what is missing as black, and takes as much time and memory as a file's chunks, segments and
scans ask for. So a decoder is given a clean file: of what was sent, only what makes the pixels.
"""

from typing import NamedTuple


class StructureError(ValueError):
    """The reason why a file is not decoded, in one line."""


class Clean(NamedTuple):
    """A file without anything that its pixels do not need.

    Attributes:
        file: the same pixels, to every decoder.
        exif: the first EXIF block as TIFF, empty where there is none.
    """

    file: bytes
    exif: bytes
