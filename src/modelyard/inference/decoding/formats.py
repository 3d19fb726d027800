"""The table of image formats that can be read, with all that is known about each."""

from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from PIL import Image, JpegImagePlugin, PngImagePlugin

from modelyard.inference.decoding.jpeg_structure import clean_jpeg, find_jpeg_mode
from modelyard.inference.decoding.png_structure import clean_png, find_png_mode
from modelyard.inference.decoding.structure import Clean, Limits

# The length of the longest magic number.
START_BYTES = 64


class Format(NamedTuple):
    """How files of a format are recognized, named and read.

    Attributes:
        name: for people.
        magic: the first bytes of every file.
        suffix: of a file name, with its dot.
        media_types: those of a request's body, the official one first.
        clean: reduces a file to what its pixels need, within limits; raises ImageError.
        find_mode: returns the mode of what `clean` lets through, as Pillow names it, such as L or RGBA; of 16
            bits a level as of 8, and "" for one that Pillow has no name for.
        open: Pillow's plugin for it, which tries no other format and never warns about size.
    """

    name: str
    magic: bytes
    suffix: str
    media_types: tuple[str, ...]
    clean: Callable[[bytes, Limits], Clean]
    find_mode: Callable[[bytes], str]
    open: Callable[[BinaryIO], Image.Image]


PNG = Format(
    "PNG",
    b"\x89PNG\r\n\x1a\n",
    ".png",
    ("image/png",),
    clean_png,
    find_png_mode,
    PngImagePlugin.PngImageFile,
)
JPEG = Format(
    "JPEG",
    b"\xff\xd8\xff",
    ".jpg",
    ("image/jpeg", "image/jpg"),
    clean_jpeg,
    find_jpeg_mode,
    JpegImagePlugin.JpegImageFile,
)
FORMATS = (PNG, JPEG)
MAGICS = tuple(one.magic for one in FORMATS)
NAMES = " or ".join(one.name for one in FORMATS)
NEITHER = f"neither {' nor '.join(one.name for one in FORMATS)}"
# Magic numbers of other formats that people send, so that the error can name them.
OTHERS = {
    b"GIF8": "a GIF",
    b"<svg": "an SVG",
    b"<?xml": "an XML document",
    b"<!DOCTYPE": "an HTML page",
    b"<html": "an HTML page",
    b"RIFF": "a WebP or other RIFF file",
    b"BM": "a BMP",
    b"II*\0": "a TIFF",
    b"MM\0*": "a TIFF",
    b"%PDF": "a PDF",
    b"PK\x03\x04": "a ZIP archive",
}


def find_format(file: bytes) -> Format | None:
    """Return the format of a file by its first bytes, None if it is not one of these."""
    return next((one for one in FORMATS if file.startswith(one.magic)), None)


def name_other(file: bytes) -> str | None:
    """Name the format of a file or text that cannot be read, None if it is unknown."""
    start = file[:START_BYTES].lstrip()
    return next((name for magic, name in OTHERS.items() if start.startswith(magic)), None)
