"""What a PNG or JPEG file is built of, seen before a decoder works on it.

Pillow shows what is missing as black, and takes as much time and memory as a file's chunks, segments and
scans ask for. So a decoder is given a clean file: of what was sent, only what makes the pixels.
"""

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Limits:
    """What one image may cost.

    Attributes:
        max_bytes: of the file, after base64; checked first.
        max_pixels: width times height in the file's header; checked before anything is decoded. A PNG of
            more than 24 bits a pixel, or a JPEG of many scans, counts as a larger picture: it costs as much.
        max_side: width or height, in pixels. What resizes a picture needs memory for the product of one side
            of it with one of the result.
    """

    max_bytes: int = 10_000_000
    max_pixels: int = 25_000_000
    max_side: int = 32_768

    def check_size(self, width: int, height: int) -> None:
        """Refuse a picture of more pixels, or longer sides.

        Raises:
            StructureError: it is larger.
        """
        if width * height > self.max_pixels:
            raise StructureError(f"{width} x {height} pixels, at most {self.max_pixels} are allowed")
        if max(width, height) > self.max_side:
            raise StructureError(f"{width} x {height} pixels, at most {self.max_side} a side are allowed")
