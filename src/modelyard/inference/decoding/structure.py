"""The structure of a PNG or JPEG file, checked before a decoder reads it.

Pillow shows missing data as black, and spends as much time and memory as a file's chunks, segments and scans
ask for. So the decoder gets a clean file with only the parts that make up the pixels.
"""

from dataclasses import dataclass
from typing import NamedTuple


class ImageError(ValueError):
    """An image cannot be read.

    Attributes:
        index: its index in the batch, from 0.
        reason: one line, which repeats nothing of the image.
    """

    def __init__(self, reason: str, index: int = 0) -> None:
        super().__init__(f"image {index}: {reason}")
        self.index = index
        self.reason = reason

    def at(self, index: int) -> "ImageError":
        """Return the same error with another index."""
        return ImageError(self.reason, index)


class Clean(NamedTuple):
    """A file reduced to what its pixels need.

    Attributes:
        file: its bytes, with the same pixels for every decoder.
        exif: the first EXIF block as TIFF, empty if there is none.
    """

    file: bytes
    exif: bytes


@dataclass(frozen=True)
class Limits:
    """What one image may cost.

    Attributes:
        max_bytes: of the file, after base64; checked first.
        max_pixels: width times height in the file's header; checked before anything is decoded. A PNG of
            more than 24 bits a pixel, or a JPEG with many scans, counts as a larger picture, since it costs
            as much.
        max_side: width or height, in pixels. A resize needs memory for one side of the picture times one
            side of the result.
    """

    max_bytes: int = 10_000_000
    max_pixels: int = 25_000_000
    max_side: int = 32_768

    def check_size(self, width: int, height: int) -> None:
        """Raise ImageError for a picture of more pixels, or longer sides."""
        if width * height > self.max_pixels:
            raise ImageError(f"{width} x {height} pixels, at most {self.max_pixels} are allowed")
        if max(width, height) > self.max_side:
            raise ImageError(f"{width} x {height} pixels, at most {self.max_side} a side are allowed")
