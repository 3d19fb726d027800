"""The formats of images that are read, a line each: whoever needs one of them looks here."""

from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from PIL import Image, JpegImagePlugin, PngImagePlugin

from modelyard.inference.decoding.jpeg_structure import clean_jpeg
from modelyard.inference.decoding.png_structure import clean_png
from modelyard.inference.decoding.structure import Clean, Limits

# The longest of the first bytes by which a file is known.
START_BYTES = 64


class Format(NamedTuple):
    """How files of a format are known, named and read.

    Attributes:
        name: for people.
        magic: the first bytes of every file.
        suffix: of a file's name, with its dot.
        media_types: of a request's body, the official one first.
        clean: leaves of a file what its pixels need, within limits; raises StructureError.
        open: Pillow's own for it: no other format is tried, and Pillow's warning about size is not met.
    """

    name: str
    magic: bytes
    suffix: str
    media_types: tuple[str, ...]
    clean: Callable[[bytes, Limits], Clean]
    open: Callable[[BinaryIO], Image.Image]


PNG = Format("PNG", b"\x89PNG\r\n\x1a\n", ".png", ("image/png",), clean_png, PngImagePlugin.PngImageFile)
JPEG = Format(
    "JPEG",
    b"\xff\xd8\xff",
    ".jpg",
    ("image/jpeg", "image/jpg"),
    clean_jpeg,
    JpegImagePlugin.JpegImageFile,
)
FORMATS = (PNG, JPEG)
MAGICS = tuple(one.magic for one in FORMATS)
NAMES = " or ".join(one.name for one in FORMATS)
NEITHER = f"neither {' nor '.join(one.name for one in FORMATS)}"
# The first bytes of what people send instead, for the reason they are told.
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
    """Return the format that a file begins as, None where it is another."""
    return next((one for one in FORMATS if file.startswith(one.magic)), None)


def name_other(file: bytes) -> str | None:
    """Name what a file or text of another format is, None where that is not known."""
    start = file[:START_BYTES].lstrip()
    return next((name for magic, name in OTHERS.items() if start.startswith(magic)), None)
