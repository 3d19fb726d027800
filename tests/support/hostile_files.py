"""PNG and JPEG files built by hand to cost as much as they can; seeded, so that every run has the same."""

import random
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bad_images import JPEG_END, make_chunk, make_png

BASELINE, PROGRESSIVE = 0xC0, 0xC2
# Codes of one bit: the mean is as before; a block ends, or 2^14 of them do.
SAME_MEAN, BLOCK_ENDS, MANY_BLOCKS_END = 0x00, 0x00, 0xE0
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PACKED = zlib.compress(bytes(1_000_000), 9)
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


@dataclass(frozen=True)
class Scan:
    """A scan of a JPEG: its components from 1, its first and last coefficient, its bits, its packed data."""

    components: Sequence[int]
    first: int
    last: int
    high: int
    low: int
    data: bytes


def make_segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", 2 + len(data)) + data


def make_jpeg(
    size: tuple[int, int],
    scans: Sequence[Scan],
    sampling: Sequence[int] = (0x11,),
    frame: int = PROGRESSIVE,
    ends: int = MANY_BLOCKS_END,
    restart: int = 0,
    before: bytes = b"",
) -> bytes:
    """Return a JPEG with a frame for as many components as have a sampling, `before` among its tables."""
    width, height = size
    components = b"".join(bytes([place, each, 0]) for place, each in enumerate(sampling, 1))
    tables = [make_segment(0xDB, b"\0" + b"\1" * 64)]
    for kind, symbol in ((0x00, SAME_MEAN), (0x10, ends)):
        tables.append(make_segment(0xC4, bytes([kind, 1]) + bytes(15) + bytes([symbol])))
    if restart:
        tables.append(make_segment(0xDD, struct.pack(">H", restart)))
    tables.append(make_segment(frame, struct.pack(">BHHB", 8, height, width, len(sampling)) + components))
    return b"".join([b"\xff\xd8", tables[0], before, *tables[1:], *map(_make_scan, scans), JPEG_END])


def make_means(size: tuple[int, int], components: int = 1, low: int = 0) -> Scan:
    """Return a scan of a bit for the mean of every block, all of one colour."""
    width, height = size
    blocks = -(-width // 8) * -(-height // 8) * components
    return Scan(range(1, components + 1), 0, 0, 0, low, bytes(blocks // 8 + 64))


def _make_scan(scan: Scan) -> bytes:
    ids = b"".join(bytes([component, 0]) for component in scan.components)
    head = bytes([len(scan.components)]) + ids + bytes([scan.first, scan.last, scan.high << 4 | scan.low])
    return make_segment(0xDA, head) + scan.data


def draw_size(chance: random.Random, max_pixels: int) -> tuple[int, int]:
    """Draw a size of about `max_pixels`: square, long, or as long as can be."""
    width = chance.choice([int(max_pixels**0.5)] * 3 + [1000, 32_768, 65_500, 25, 1])
    size = (width, min(65_500, max_pixels // width))
    return size if chance.random() < 0.5 else size[::-1]


def draw_jpegs(chance: random.Random, count: int, max_pixels: int) -> Iterator[bytes]:
    """Draw JPEGs of many scans, of components that take much, with little data and with what hides it."""
    for _ in range(count):
        size = draw_size(chance, max_pixels)
        sampling = chance.choice(
            [(0x11,), (0x11,) * 3, (0x11,) * 4, (0x22, 0x11, 0x11), (0x41, 0x11, 0x14, 0x11)]
        )
        frame = chance.choice([PROGRESSIVE] * 5 + [BASELINE] * 3 + [0xC1, 0xC3, 0xC9, 0xCA])
        few, many = chance.randint(0, 4), chance.choice([0, 0, 8, 12, 20, 90, 150])
        if frame == PROGRESSIVE or frame == 0xCA:
            scans = [make_means(size, len(sampling), low=1)]
            scans += [_draw_scan(chance, size, len(sampling)) for _ in range(few)]
            scans += [_draw_scan(chance, size, len(sampling))] * many
        else:
            room = size[0] * size[1] * len(sampling) // 256 + 999
            parts = chance.choice(
                [[range(1, len(sampling) + 1)], [[place + 1] for place in range(len(sampling))]]
            )
            scans = [Scan(part, 0, 63, 0, 0, bytes(room)) for part in parts]
            scans += [Scan([1], 0, 63, 0, 0, _draw_data(chance, room))] * chance.choice([0, few, many])
        yield make_jpeg(
            size,
            scans,
            sampling,
            frame,
            chance.choice([BLOCK_ENDS, MANY_BLOCKS_END, 0x01, 0xF0]),
            chance.choice([0, 0, 1, 2, 1000]),
            _draw_hiding(chance) if chance.random() < 0.3 else b"",
        )


def _draw_scan(chance: random.Random, size: tuple[int, int], components: int) -> Scan:
    if chance.random() < 0.2:
        means = make_means(size, components)
        return Scan(means.components, 0, 0, chance.choice([0, 1]), 0, means.data)
    first = chance.choice([1, 1, 1, 6, 63])
    data = _draw_data(chance, size[0] * size[1] // 128)
    return Scan(
        [chance.randint(1, components)], first, chance.choice([first, 63]), chance.choice([0, 1]), 0, data
    )


def _draw_data(chance: random.Random, room: int) -> bytes:
    plain = [b"", bytes(min(room, 200)), bytes(room), b"\x55" * room, b"\xff\x00" * (room // 2)]
    hiding = [
        chance.randbytes(min(room, 1000)),
        b"\xff\xd0\xff\xd1" * min(room // 4, 9999),
        b"\xff\x01" * min(room // 2, 9999),
        b"\xff" * room,
        b"\xff\x02\xff\xff" * min(room // 4, 9999),
    ]
    return chance.choice(plain if chance.random() < 0.9 else hiding)


def _draw_hiding(chance: random.Random) -> bytes:
    """Draw what stands before the tables: segments without end, and what two readers read differently."""
    return chance.choice(
        [
            JPEG_END,
            make_segment(0xF0, bytes(60_000)),
            make_segment(0xDB, (b"\0" + b"\1" * 64) * 1000),
            make_segment(0xE0, b"JFIF\0") * chance.choice([1, 900, 2000]),
            make_segment(0xE1, b"Exif\0\0" + _draw_exif(chance)) * chance.choice([1, 150]),
            make_segment(0xED, b"Photoshop 3.0\0" + b"8BIM" * 9999),
            b"\0" * 100_000,
            b"\xff" * 100_000,
            b"\xff\x01" * 10_000,
            b"\xff\xd8" * 10_000,
        ]
    )


def _draw_exif(chance: random.Random) -> bytes:
    turned = struct.pack(">HHIHH", 0x0112, 3, 1, chance.randint(1, 8), 0)
    others = b"".join(struct.pack(">HHII", tag, 2, 30_000, 8) for tag in range(1, 2000))
    return (
        b"MM\0*\0\0\0\x08"
        + struct.pack(">H", 2000)
        + chance.choice([turned, others + turned])
        + bytes(30_000)
    )


def draw_pngs(chance: random.Random, count: int, max_pixels: int) -> Iterator[bytes]:
    """Draw PNGs of every kind of pixel, filter and build, with what unpacks without end beside them."""
    for _ in range(count):
        width, height = draw_size(chance, max_pixels)
        colour = chance.choice(list(CHANNELS))
        depth = chance.choice(DEPTHS[colour])
        before = make_chunk(b"PLTE", bytes(range(256)) * 3) if colour == 3 and chance.random() < 0.9 else b""
        if chance.random() < 0.3:
            before += make_chunk(b"tRNS", {0: bytes(2), 2: bytes(6), 3: bytes(range(99))}.get(colour, b""))
        row = (width * depth * CHANNELS[colour] + 7) // 8
        # Adam7's rows are up to twice as many; what is too much is left alone.
        interlaced = chance.choice([0, 0, 1])
        filtered = bytes([chance.randint(0, 4)]) + chance.choice([bytes(row), b"\x7f" * row])
        rows = bytes(2 * height + row * height + 8 * 2) if interlaced else filtered * height
        yield make_png(width, height, depth, colour, rows, before + _draw_ancillary(chance), interlaced)


def _draw_ancillary(chance: random.Random) -> bytes:
    return chance.choice(
        [
            b"",
            b"",
            make_chunk(b"zTXt", b"k\0\0" + PACKED) * 60,
            make_chunk(b"iTXt", b"k\0\1\0\0\0" + PACKED) * 60,
            make_chunk(b"iCCP", b"k\0\0" + PACKED),
            make_chunk(b"tEXt", b"transparency\0x"),
            make_chunk(b"tRNS", bytes(6)) * 19_000,
            make_chunk(b"IDAT", b"") * 19_000,
            make_chunk(b"acTL", bytes(8)) + make_chunk(b"fcTL", bytes(26)) * 9_000,
            make_chunk(b"eXIf", _draw_exif(chance)),
            make_chunk(b"eXIf", b"MM\0+\0\x08\0\0" + bytes(6) + b"\0\x10" + bytes(500_000)),
        ]
    )
