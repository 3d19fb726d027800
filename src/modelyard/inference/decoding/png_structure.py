"""The structure of a PNG file: whether it is complete, and which parts make up the pixels."""

import zlib
from collections.abc import Iterator
from typing import NamedTuple

from modelyard.inference.decoding.structure import Clean, ImageError, Limits

# More than any real file has: encoders write chunks of 8 kB or more.
MOST_CHUNKS = 20_000
# RGB of 8 bits. A pixel of more bits, because of transparency or 16-bit levels, counts as more pixels.
_BITS_A_PIXEL = 24
# The bytes of a chunk beside its data: length, kind and checksum.
_FRAME_BYTES = 12
_PALETTE = 3
_CHANNELS = {0: 1, 2: 3, _PALETTE: 1, 4: 2, 6: 4}
# Adam7's passes: first column and row, and the steps between those that follow.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIECE_BYTES, _UNPACKED_BYTES = 1 << 16, 1 << 20
# By the kind of colour.
_MODES = {0: "L", 2: "RGB", _PALETTE: "P", 4: "LA", 6: "RGBA"}


class PngHeader(NamedTuple):
    """What the first 33 bytes of a PNG say; width and height are in pixels.

    Attributes:
        bits: per pixel, 1 to 64.
        colour: its type, 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGBA.
        unpacked_bytes: of all rows, including their filter bytes.
    """

    width: int
    height: int
    bits: int
    colour: int
    unpacked_bytes: int


def read_png_header(png: bytes) -> PngHeader:
    """Read a PNG's header; raises ImageError if it is cut off, or not one."""
    if len(png) < 33:
        raise ImageError("a truncated PNG")
    if png[8:16] != b"\0\0\0\x0dIHDR":
        raise ImageError("a broken PNG: no header")
    width, height = int.from_bytes(png[16:20]), int.from_bytes(png[20:24])
    depth, colour, interlaced = png[24], png[25], png[28]
    if colour not in _CHANNELS:
        raise ImageError("a broken PNG: no such type of colour")
    bits = depth * _CHANNELS[colour]
    sizes = [(width, height)]
    if interlaced:
        sizes = [
            (_count(width, left, right), _count(height, top, down)) for left, top, right, down in _PASSES
        ]
    unpacked = sum([rows * (1 + (columns * bits + 7) // 8) for columns, rows in sizes if columns])
    return PngHeader(width, height, bits, colour, unpacked)


def find_png_mode(png: bytes) -> str:
    """Return the mode of a PNG that `clean_png` lets through, by the kind of colour in its header."""
    return _MODES.get(png[25], "")


def clean_png(png: bytes, limits: Limits) -> Clean:
    """Keep the parts of a PNG that make up the pixels; checksums, palette, rows and end mark are checked.

    The data become one chunk. An animation keeps its default image. Texts and profiles are dropped without
    being unpacked. Raises ImageError if something is missing, broken, or beyond the limits.
    """
    header = read_png_header(png)
    width, height, bits = header.width, header.height, header.bits
    limits.check_size(width, height)
    if width * height * bits > limits.max_pixels * _BITS_A_PIXEL:
        most = limits.max_pixels * _BITS_A_PIXEL // bits
        raise ImageError(f"{width} x {height} pixels of {bits} bits, at most {most} are allowed")
    view = memoryview(png)
    colours: dict[bytes, memoryview] = {}
    data: list[memoryview] = []
    exif = b""
    for place, (kind, start, end) in enumerate(_walk_chunks(png)):
        if place >= MOST_CHUNKS:
            raise ImageError(f"a PNG of more than {MOST_CHUNKS} chunks")
        if kind == b"IHDR" and place:
            raise ImageError("a broken PNG: two headers")
        if kind == b"IDAT":
            data.append(view[start:end])
        elif kind in (b"PLTE", b"tRNS") and not data:
            colours[kind] = view[start - 8 : end + 4]
        elif kind == b"eXIf" and not exif:
            exif = png[start:end]
    if header.colour == _PALETTE and len(colours.get(b"PLTE", b"")) <= _FRAME_BYTES:
        raise ImageError("a broken PNG: no palette")
    _check_rows(data, header.unpacked_bytes)
    return Clean(b"".join([view[:33], *colours.values(), *_frame(b"IDAT", data), *_frame(b"IEND", [])]), exif)


def _frame(kind: bytes, data: list[memoryview]) -> Iterator[bytes | memoryview]:
    """Yield a chunk in pieces."""
    checksum = zlib.crc32(kind)
    for piece in data:
        checksum = zlib.crc32(piece, checksum)
    yield sum(map(len, data)).to_bytes(4) + kind
    yield from data
    yield checksum.to_bytes(4)


def _walk_chunks(png: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of each chunk's data up to the end mark; what follows it is ignored."""
    place, kind = 8, b""
    while kind != b"IEND":
        start = place + 8
        kind, end = png[place + 4 : start], start + int.from_bytes(png[place : place + 4])
        place = end + 4
        if place > len(png):
            raise ImageError("a truncated PNG")
        if zlib.crc32(memoryview(png)[start - 4 : end]) != int.from_bytes(png[end:place]):
            raise ImageError("a broken PNG: a checksum is wrong")
        yield kind, start, end


def _count(length: int, first: int, step: int) -> int:
    return max(0, -(-(length - first) // step))


def _check_rows(data: list[memoryview], missing: int) -> None:
    """Check that the data unpack to all rows; nothing is kept."""
    unpacker = zlib.decompressobj()
    try:
        for packed in data:
            # In pieces, because zlib copies the unused rest of each.
            for start in range(0, len(packed), _PIECE_BYTES):
                rest: bytes | memoryview = packed[start : start + _PIECE_BYTES]
                while rest and missing and not unpacker.eof:
                    missing -= len(unpacker.decompress(rest, min(missing, _UNPACKED_BYTES)))
                    rest = unpacker.unconsumed_tail
    except zlib.error:
        raise ImageError("a broken PNG: its pixels cannot be unpacked") from None
    if missing:
        raise ImageError("a truncated PNG: rows are missing")
