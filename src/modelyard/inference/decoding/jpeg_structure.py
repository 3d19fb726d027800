"""The structure of a JPEG file: whether it is complete, what makes up its pixels, what its scans cost.

libjpeg skips known segments by their length. At any other marker it gives up, or searches for the next one
byte by byte. Only segments that it skips by length pass, so that both read the same segments.
"""

import itertools
import re
from typing import NamedTuple

from modelyard.inference.decoding.structure import Clean, ImageError, Limits

# More than any real file has: encoders write about 10 scans.
MOST_SEGMENTS = 1_000
MOST_SCANS = 100
# An encoder's ten scans read about 14 samples a pixel, or 24 for CMYK. With this limit the largest CMYK JPEG
# of ten scans, like the largest PNG, is decoded within a second by one core of an EPYC without AVX512-VNNI.
_SAMPLES_A_PIXEL = 20
# Neither a stuffed byte (FF00) nor a restart ends a scan; TEM (FF01) has no length and no meaning.
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd8-\xfe])")
_PROGRESSIVE, _END, _SCAN, _QUANTIZATION, _EXIF = 0xC2, 0xD9, 0xDA, 0xDB, 0xE1
# Baseline, extended and progressive with Huffman codes. Arithmetic codes can take far more time than their
# size suggests, and no browser shows them.
_FRAMES = (0xC0, 0xC1, _PROGRESSIVE)
# Kept beside frame and scans: Huffman and quantization tables, restarts, JFIF, Adobe's colour transform.
_MAKE_PIXELS = (*_FRAMES, 0xC4, _SCAN, _QUANTIZATION, 0xDD, 0xE0, 0xEE)
# Dropped: DNL, application segments, comments.
_DROPPED = (0xDC, *range(0xE1, 0xEE), 0xEF, 0xFE)
_MOST_QUANTIZATION_BYTES = 2 + 4 * 129
# A decoder that is fed in pieces starts such a stretch again with each piece.
_FILL = b"\xff" * 1_000
# By the number of components.
_MODES = {1: "L", 3: "RGB", 4: "CMYK"}


class JpegFrame(NamedTuple):
    """What a JPEG's frame header says; width and height are in pixels.

    Attributes:
        blocks: the number of 8x8 blocks of each component, by its id.
        is_progressive: whether a scan may hold a part of each block.
    """

    width: int
    height: int
    blocks: dict[int, int]
    is_progressive: bool


class Segment(NamedTuple):
    """A segment of a JPEG, from its marker to where another one, or a scan's data, follows."""

    kind: int
    start: int
    end: int


def clean_jpeg(jpeg: bytes, limits: Limits) -> Clean:
    """Keep the parts of a JPEG that make up the pixels.

    Raises ImageError if it has no end mark, no data for many of its blocks, a coding that no browser knows,
    or more segments or scans than any encoder writes; or it is beyond the limits.
    """
    segments = _list_segments(jpeg)
    frames = [segment for segment in segments if segment.kind in _FRAMES]
    if len(frames) != 1:
        raise ImageError(f"a broken JPEG: expected one frame, got {len(frames)}")
    frame = _read_frame(jpeg, frames[0])
    view, kept, blocks, seen, exif = memoryview(jpeg), [memoryview(jpeg)[:2]], 0, set[int](), b""
    for segment, following in itertools.pairwise(segments):
        if segment.kind == _SCAN:
            ids, blocks_of_scan = _check_scan(jpeg, frame, segment, following.start)
            seen.update(ids)
            blocks += blocks_of_scan
            kept.append(view[segment.start : following.start])
        elif segment.kind in _MAKE_PIXELS:
            kept.append(view[segment.start : segment.end])
        elif segment.kind == _EXIF and not exif and jpeg.startswith(b"Exif\0\0", segment.start + 4):
            exif = jpeg[segment.start + 10 : segment.end]
    if not seen.issuperset(frame.blocks):
        raise ImageError("a truncated JPEG: scans are missing")
    limits.check_size(frame.width, frame.height)
    samples, most = blocks * 64, limits.max_pixels * _SAMPLES_A_PIXEL
    if samples > most:
        raise ImageError(f"{samples} samples in all its scans, at most {most} are allowed")
    return Clean(b"".join([*kept, b"\xff\xd9"]), exif)


def find_jpeg_mode(jpeg: bytes) -> str:
    """Return the mode of a JPEG that `clean_jpeg` lets through, by the number of its components."""
    components = next(jpeg[segment.start + 9] for segment in _list_segments(jpeg) if segment.kind in _FRAMES)
    return _MODES.get(components, "")


def _list_segments(jpeg: bytes) -> list[Segment]:
    """List all segments with the end mark as the last one."""
    segments: list[Segment] = []
    place, scans = 2, 0
    while found := _MARKER.search(jpeg, place):
        kind, start = jpeg[found.end() - 1], found.start()
        length = int.from_bytes(jpeg[start + 2 : start + 4])
        place = start + 2 + length
        segments.append(Segment(kind, start, place))
        if kind == _END:
            return segments
        scans += kind == _SCAN
        if scans > MOST_SCANS or len(segments) > MOST_SEGMENTS:
            raise ImageError(f"a JPEG of more than {MOST_SCANS} scans or {MOST_SEGMENTS} segments")
        _check_segment(kind, length)
    raise ImageError("a truncated JPEG")


def _check_segment(kind: int, length: int) -> None:
    if kind not in _MAKE_PIXELS and kind not in _DROPPED:
        raise ImageError(f"a JPEG with a marker FF{kind:02X}, expected a baseline or progressive one")
    if length < 2 or (kind == _QUANTIZATION and length > _MOST_QUANTIZATION_BYTES):
        raise ImageError(f"a broken JPEG: a segment FF{kind:02X} of {length} bytes")


def _read_frame(jpeg: bytes, segment: Segment) -> JpegFrame:
    data = jpeg[segment.start + 4 : segment.end]
    sampling = [
        (data[place], data[place + 1] >> 4, data[place + 1] & 15) for place in range(6, len(data) - 2, 3)
    ]
    height, width = int.from_bytes(data[1:3]), int.from_bytes(data[3:5])
    if not (
        width and height and sampling and all(1 <= side <= 4 for _, *sides in sampling for side in sides)
    ):
        raise ImageError("a broken JPEG: its frame")
    most_across, most_down = max(across for _, across, _ in sampling), max(down for _, _, down in sampling)
    blocks: dict[int, int] = {}
    for name, across, down in sampling:
        count = -(-width * across // (8 * most_across)) * -(-height * down // (8 * most_down))
        blocks[name] = max(blocks.get(name, 0), count)
    return JpegFrame(width, height, blocks, segment.kind == _PROGRESSIVE)


def _check_scan(jpeg: bytes, frame: JpegFrame, segment: Segment, end: int) -> tuple[bytes, int]:
    """Return the ids of a scan's components and the number of their blocks."""
    data = jpeg[segment.start + 4 : segment.end]
    ids = data[1:-3:2]
    if len(data) < 6 or not set(ids) <= frame.blocks.keys():
        raise ImageError("a broken JPEG: a scan's header")
    blocks = sum(frame.blocks[name] for name in ids)
    # A code has at least one bit. A complete block needs two codes, its mean one; the rest may be left out.
    least_bits = (1 if data[-3] == 0 else 0) if frame.is_progressive else 2
    if (end - segment.end) * 8 < blocks * least_bits:
        raise ImageError("a truncated JPEG: a scan has too little data for its blocks")
    if jpeg.find(_FILL, segment.end, end) >= 0:
        raise ImageError("a broken JPEG: a scan with a long stretch of FF")
    return ids, blocks
