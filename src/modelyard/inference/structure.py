"""Whether a PNG or JPEG file is whole and of reasonable build, seen before a decoder works on it.

Pillow shows what is missing as black, and takes as long as a file's segments and scans ask for; a few hundred
kilobytes can ask for an hour.
"""

import re
import zlib
from collections.abc import Iterator

# What a real file never has: encoders write some 10 scans, and chunks of 8 kB or more.
MOST_CHUNKS = 20_000
MOST_SEGMENTS = 1_000
MOST_SCANS = 100
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")
_START_OF_IMAGE, _END_OF_IMAGE, _START_OF_SCAN = 0xD8, 0xD9, 0xDA
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Adam7's passes: first column and row, and the steps between those that follow.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIECE_BYTES = 1 << 20


class StructureError(ValueError):
    """The reason why a file is not decoded, in one line."""


def read_png_size(png: bytes) -> tuple[int, int]:
    """Return width and height of a PNG's header.

    Raises:
        StructureError: the header is cut off, or is none.
    """
    if len(png) < 33:
        raise StructureError("a truncated PNG")
    if png[8:16] != b"\0\0\0\x0dIHDR":
        raise StructureError("a broken PNG: no header")
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


def check_png(png: bytes) -> None:
    """Refuse a PNG that is not whole: header, checksums, the data of every row, end mark.

    Raises:
        StructureError: something is missing, broken, or without end.
    """
    width, height = read_png_size(png)
    data: list[bytes] = []
    for place, (kind, start, end) in enumerate(_walk_chunks(png)):
        if place >= MOST_CHUNKS:
            raise StructureError(f"a PNG of more than {MOST_CHUNKS} chunks")
        if kind == b"IHDR" and place:
            raise StructureError("a broken PNG: two headers")
        if kind == b"IDAT":
            data.append(png[start:end])
    depth, colour, interlaced = png[24], png[25], png[28]
    if colour not in _CHANNELS:
        raise StructureError("a broken PNG: no such type of colour")
    bits = depth * _CHANNELS[colour]
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    sizes = [(_count(width, left, right), _count(height, top, down)) for left, top, right, down in passes]
    _check_rows(data, sum(rows * (1 + (columns * bits + 7) // 8) for columns, rows in sizes if columns))


def check_jpeg(jpeg: bytes) -> None:
    """Refuse a JPEG without its end mark, or with more segments or scans than any encoder writes.

    Raises:
        StructureError: the reason.
    """
    scans = segments = 0
    place = 2
    while marker := _MARKER.search(jpeg, place):
        kind, place = marker[1][0], marker.end()
        if kind == _END_OF_IMAGE:
            return
        segments += 1
        scans += kind == _START_OF_SCAN
        if scans > MOST_SCANS or segments > MOST_SEGMENTS:
            raise StructureError(f"a JPEG of more than {MOST_SCANS} scans or {MOST_SEGMENTS} segments")
        if kind != _START_OF_IMAGE:
            place += int.from_bytes(jpeg[place : place + 2])
    raise StructureError("a truncated JPEG")


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


def _check_rows(data: list[bytes], missing: int) -> None:
    """Unpack as many bytes as all rows have, and keep none."""
    unpacker = zlib.decompressobj()
    try:
        for packed in data:
            rest = packed
            while rest and missing and not unpacker.eof:
                missing -= len(unpacker.decompress(rest, min(missing, _PIECE_BYTES)))
                rest = unpacker.unconsumed_tail
    except zlib.error:
        raise StructureError("a broken PNG: its pixels cannot be unpacked") from None
    if missing:
        raise StructureError("a truncated PNG: rows are missing")
