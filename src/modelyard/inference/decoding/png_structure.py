"""Whether a PNG file is whole, and what of it makes the pixels."""

import zlib
from collections.abc import Iterator
from typing import NamedTuple

from modelyard.inference.decoding.structure import Clean, Limits, StructureError

# What a real file never has: encoders write chunks of 8 kB or more.
MOST_CHUNKS = 20_000
# RGB of 8 bits; a pixel of more bits, for transparency or of 16 bits, counts as more pixels.
_BITS_A_PIXEL = 24
# Of a chunk beside its data: length, kind and checksum.
_FRAME_BYTES = 12
_PALETTE = 3
_CHANNELS = {0: 1, 2: 3, _PALETTE: 1, 4: 2, 6: 4}
# Adam7's passes: first column and row, and the steps between those that follow.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIECE_BYTES, _UNPACKED_BYTES = 1 << 16, 1 << 20


class PngHeader(NamedTuple):
    """What the first 33 bytes of a PNG say.

    Attributes:
        width: in pixels.
        height: in pixels.
        bits: of a pixel, 1 to 64.
        colour: its type: 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGBA.
        unpacked_bytes: of all rows, with their filter bytes.
    """

    width: int
    height: int
    bits: int
    colour: int
    unpacked_bytes: int


def read_png_header(png: bytes) -> PngHeader:
    """Read a PNG's header.

    Raises:
        StructureError: it is cut off, or is none.
    """
    if len(png) < 33:
        raise StructureError("a truncated PNG")
    if png[8:16] != b"\0\0\0\x0dIHDR":
        raise StructureError("a broken PNG: no header")
    width, height = int.from_bytes(png[16:20]), int.from_bytes(png[20:24])
    depth, colour, interlaced = png[24], png[25], png[28]
    if colour not in _CHANNELS:
        raise StructureError("a broken PNG: no such type of colour")
    bits = depth * _CHANNELS[colour]
    sizes = [(width, height)]
    if interlaced:
        sizes = [
            (_count(width, left, right), _count(height, top, down)) for left, top, right, down in _PASSES
        ]
    unpacked = sum([rows * (1 + (columns * bits + 7) // 8) for columns, rows in sizes if columns])
    return PngHeader(width, height, bits, colour, unpacked)


def clean_png(png: bytes, limits: Limits) -> Clean:
    """Keep what makes the pixels of a whole PNG: it has checksums, palette, the data of every row, end mark.

    Its data become one chunk. Of an animation that is the picture for those who know none; texts and profiles
    are dropped as they are, still packed.

    Raises:
        StructureError: something is missing, broken, or beyond the limits.
    """
    header = read_png_header(png)
    width, height, bits = header.width, header.height, header.bits
    limits.check_size(width, height)
    if width * height * bits > limits.max_pixels * _BITS_A_PIXEL:
        most = limits.max_pixels * _BITS_A_PIXEL // bits
        raise StructureError(f"{width} x {height} pixels of {bits} bits, at most {most} are allowed")
    view = memoryview(png)
    colours: dict[bytes, memoryview] = {}
    data: list[memoryview] = []
    exif = b""
    for place, (kind, start, end) in enumerate(_walk_chunks(png)):
        if place >= MOST_CHUNKS:
            raise StructureError(f"a PNG of more than {MOST_CHUNKS} chunks")
        if kind == b"IHDR" and place:
            raise StructureError("a broken PNG: two headers")
        if kind == b"IDAT":
            data.append(view[start:end])
        elif kind in (b"PLTE", b"tRNS") and not data:
            colours[kind] = view[start - 8 : end + 4]
        elif kind == b"eXIf" and not exif:
            exif = png[start:end]
    if header.colour == _PALETTE and len(colours.get(b"PLTE", b"")) <= _FRAME_BYTES:
        raise StructureError("a broken PNG: no palette")
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
    """Yield kind, start and end of each chunk's data up to the end mark; what follows it is left alone."""
    place, kind = 8, b""
    while kind != b"IEND":
        start = place + 8
        kind, end = png[place + 4 : start], start + int.from_bytes(png[place : place + 4])
        place = end + 4
        if place > len(png):
            raise StructureError("a truncated PNG")
        if zlib.crc32(memoryview(png)[start - 4 : end]) != int.from_bytes(png[end:place]):
            raise StructureError("a broken PNG: a checksum is wrong")
        yield kind, start, end


def _count(length: int, first: int, step: int) -> int:
    return max(0, -(-(length - first) // step))


def _check_rows(data: list[memoryview], missing: int) -> None:
    """Unpack as many bytes as all rows have, and keep none."""
    unpacker = zlib.decompressobj()
    try:
        for packed in data:
            # In pieces, since what is left of each is copied.
            for start in range(0, len(packed), _PIECE_BYTES):
                rest: bytes | memoryview = packed[start : start + _PIECE_BYTES]
                while rest and missing and not unpacker.eof:
                    missing -= len(unpacker.decompress(rest, min(missing, _UNPACKED_BYTES)))
                    rest = unpacker.unconsumed_tail
    except zlib.error:
        raise StructureError("a broken PNG: its pixels cannot be unpacked") from None
    if missing:
        raise StructureError("a truncated PNG: rows are missing")
