"""Thousands of things that are no picture, or one no longer; seeded, so that every run has the same."""

import base64
import io
import json
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
JPEG_END = b"\xff\xd9"
# Bytes that a bomb of 0.3 MB unpacks to.
UNPACKED = 300_000_000
PIXELS: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
PICTURE = Image.fromarray(PIXELS)


@dataclass(frozen=True)
class Case:
    """Something that is sent as an image.

    Attributes:
        kind: of what is wrong with it.
        image: bytes of a file, base64 text, or any value of JSON.
        is_refused: it is no picture for sure; otherwise it may still be one.
    """

    kind: str
    image: Any
    is_refused: bool = True


def make_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def make_png(
    width: int, height: int, depth: int, colour: int, rows: bytes, before: bytes = b"", interlaced: int = 0
) -> bytes:
    """Return a PNG of unpacked rows, each with its filter byte; `before` are chunks before the pixels."""
    header = make_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced))
    return SIGNATURE + header + before + make_chunk(b"IDAT", zlib.compress(rows)) + make_chunk(b"IEND", b"")


def save(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def make_exif(orientation: int = 6) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


PNGS = {
    "RGB": save(PICTURE, "PNG"),
    "grey": save(PICTURE.convert("L"), "PNG"),
    "palette": save(PICTURE.quantize(16), "PNG", transparency=3),
    "RGBA": save(PICTURE.convert("RGBA"), "PNG", exif=make_exif(), dpi=(72, 72)),
    "one bit": save(PICTURE.convert("1"), "PNG"),
    "16 bits": make_png(5, 4, 16, 0, bytes(4 * 11), before=make_chunk(b"tEXt", b"Title\0grey")),
    "interlaced": make_png(1, 2, 8, 0, bytes(4), interlaced=1),
}
JPEGS = {
    "RGB": save(PICTURE, "JPEG", quality=90),
    "grey": save(PICTURE.convert("L"), "JPEG"),
    "progressive": save(PICTURE, "JPEG", progressive=True, exif=make_exif()),
    "CMYK": save(PICTURE.convert("CMYK"), "JPEG"),
    "with restarts": save(PICTURE, "JPEG", restart_marker_blocks=1, comment=b"no comment"),
}


def flip_bits(chance: random.Random, count: int) -> Iterator[Case]:
    """A PNG's checksums tell every flipped bit; a JPEG has none, and may go on as another picture."""
    for number in range(count):
        files = (PNGS, JPEGS)[number % 2]
        name = chance.choice(list(files))
        file = bytearray(files[name])
        for place in chance.sample(range(len(file)), chance.randint(1, 3)):
            file[place] ^= 1 << chance.randrange(8)
        kind = "PNG" if files is PNGS else "JPEG"
        yield Case(f"{name} {kind} with flipped bits", bytes(file), is_refused=files is PNGS)


def cut(chance: random.Random) -> Iterator[Case]:
    """Cut each file inside each of its chunks or segments, and all over its pixels."""
    for files, list_places in ((PNGS, _list_chunks), (JPEGS, _list_segments)):
        for name, file in files.items():
            near = {place + step for place in list_places(file) for step in (-3, -1, 0, 1, 2, 4, 6, 9)}
            everywhere = chance.sample(range(len(file)), min(60, len(file) - 1))
            for length in sorted(near.union(everywhere)):
                if 0 <= length < len(file):
                    yield Case(f"{name} cut at {length}", file[:length])


def _list_chunks(png: bytes) -> Iterator[int]:
    place = 8
    while place < len(png):
        yield place
        place += 12 + int.from_bytes(png[place : place + 4])


def _list_segments(jpeg: bytes) -> Iterator[int]:
    place = 2
    while jpeg[place + 1] != 0xDA:
        yield place
        place += 2 + int.from_bytes(jpeg[place + 2 : place + 4])
    yield place
    yield len(jpeg) - 2


def lose_bytes(chance: random.Random, count: int) -> Iterator[Case]:
    """Take bytes out of the middle of a PNG, put some in, or fill a stretch with zeros."""
    changes: list[Callable[[bytes, int, int], bytes]] = [
        lambda file, start, size: file[:start] + file[start + size :],
        lambda file, start, size: file[:start] + chance.randbytes(size) + file[start:],
        lambda file, start, size: file[:start] + b"\xa5" * size + file[start + size :],
    ]
    for _ in range(count):
        name = chance.choice(list(PNGS))
        file = PNGS[name]
        changed = chance.choice(changes)(file, chance.randrange(len(file) - 12), chance.randint(1, 40))
        yield Case(f"{name} with other bytes", changed)


def make_bombs(max_pixels: int, most_bytes: int) -> Iterator[Case]:
    """Files of at most `most_bytes` that ask for memory or time without end."""
    plain = PNGS["RGB"]
    for side in (int(max_pixels**0.5) + 1, 30_000, 2**31 - 1):
        for colour, depth in ((0, 1), (0, 16), (2, 8), (3, 8), (6, 16)):
            yield Case(f"{side} x {side} pixels", make_png(side, side, depth, colour, b"\0" * 1000))
    packed = _pack_zeros(UNPACKED)
    yield Case("an IDAT without end in a large picture", _with_pixels(plain, (9000, 9000), packed))
    yield Case("no IDAT", plain[:33] + make_chunk(b"IEND", b""))
    for kind, head in ((b"zTXt", b"k\0\0"), (b"iTXt", b"k\0\1\0\0\0"), (b"iCCP", b"k\0\0")):
        bomb = make_chunk(kind, head + packed)
        yield Case(f"{kind.decode()} without end", plain[:33] + bomb + plain[33:], is_refused=False)
        many = make_chunk(kind, head + _pack_zeros(1_040_000)) * 70
        if kind != b"iCCP":
            yield Case(f"many {kind.decode()}", plain[:33] + many + plain[33:], is_refused=False)
    for kind, data in ((b"tEXt", b"a\0b"), (b"prIv", b""), (b"IDAT", b""), (b"eXIf", b"MM\0*")):
        yield Case(f"countless {kind.decode()}", plain[:33] + make_chunk(kind, data) * 50_000 + plain[33:])
    yield Case("two headers", plain[:33] + make_png(900, 900, 8, 0, b"\0" * 900 * 901)[8:])
    yield Case("rows are missing", make_png(90, 90, 8, 2, b"\0" * (90 * 271 - 1)))
    yield from _make_jpeg_bombs(most_bytes)


def _pack_zeros(count: int) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join([*(packer.compress(bytes(1_000_000)) for _ in range(count // 1_000_000)), packer.flush()])


def _with_pixels(png: bytes, size: tuple[int, int], packed: bytes) -> bytes:
    header = make_chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0))
    return png[:8] + header + make_chunk(b"IDAT", packed) + make_chunk(b"IEND", b"")


def _make_jpeg_bombs(most_bytes: int) -> Iterator[Case]:
    for name, file in JPEGS.items():
        frame = min(place for place in (file.find(b"\xff\xc0"), file.find(b"\xff\xc2")) if place >= 0)
        for height, width in ((0xFFFF, 0xFFFF), (0xFFFF, 1000), (0, 30), (20, 0)):
            sized = file[: frame + 5] + struct.pack(">HH", height, width) + file[frame + 9 :]
            yield Case(f"{name} JPEG of {width} x {height} pixels", sized)
    file = JPEGS["progressive"]
    last = file[file.rindex(b"\xff\xda") : -2]
    yield Case("countless scans", file[:-2] + last * (most_bytes // 2 // len(last)) + JPEG_END)
    for marker, data in (
        (0xE1, b"Exif\0\0ABCD"),
        (0xE2, b"ICC_PROFILE\0\1\1x"),
        (0xED, b"8BIM"),
        (0xFE, b""),
    ):
        segment = bytes([0xFF, marker]) + struct.pack(">H", 2 + len(data)) + data
        yield Case("countless segments", file[:2] + segment * (most_bytes // 2 // len(segment)) + file[2:])


def make_odd_pictures() -> Iterator[Case]:
    """Pictures all the same: with wild EXIF, profiles, comments, more pictures behind, or bytes behind."""
    plain, photo = PNGS["RGB"], JPEGS["RGB"]
    entries = b"".join(struct.pack(">HHII", tag, 2, 60_000, 8) for tag in range(1, 4000))
    loop = b"MM\0*\0\0\0\x08" + struct.pack(">H", 3999) + entries + b"\0\0\0\x08"
    for name, exif in {
        "EXIF of overlapping entries": loop,
        "EXIF that points to itself": b"MM\0*\0\0\0\x08\0\1"
        + struct.pack(">HHII", 0x8769, 4, 1, 8)
        + b"\0\0\0\x08",
        "EXIF cut off": loop[:30],
        "EXIF that is none": b"nothing",
        "empty EXIF": b"",
        "EXIF with an orientation of 99": b"MM\0*\0\0\0\x08\0\1"
        + struct.pack(">HHIHHI", 0x0112, 3, 1, 99, 0, 0),
        "EXIF with an orientation of text": b"MM\0*\0\0\0\x08\0\1"
        + struct.pack(">HHI4sI", 0x0112, 2, 4, b"six\0", 0),
    }.items():
        yield Case(name, plain[:33] + make_chunk(b"eXIf", exif) + plain[33:], is_refused=False)
        segment = b"Exif\0\0" + exif
        packed = b"\xff\xe1" + struct.pack(">H", 2 + len(segment)) + segment
        yield Case(name, photo[:2] + packed + photo[2:], is_refused=False)
    profile = make_chunk(b"iCCP", b"p\0\0" + zlib.compress(b"no profile at all"))
    yield Case("a profile that is none", plain[:33] + profile + plain[33:], is_refused=False)
    yield Case("bytes behind", plain + b"behind", is_refused=False)
    yield Case("a JPEG behind a JPEG", photo + photo, is_refused=False)
    frames = {"save_all": True, "append_images": [PICTURE.rotate(180)]}
    yield Case("APNG", save(PICTURE, "PNG", **frames), is_refused=False)
    yield Case("MPO", save(PICTURE, "MPO", **frames), is_refused=False)


def make_other_files(chance: random.Random) -> Iterator[Case]:
    for kind in (
        "GIF",
        "BMP",
        "TIFF",
        "WEBP",
        "ICO",
        "PPM",
        "TGA",
        "PCX",
        "DDS",
        "SGI",
        "JPEG2000",
        "PDF",
        "EPS",
    ):
        yield Case(kind, save(PICTURE.resize((64, 64)), kind))
    texts = [
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\xef\xbb\xbf<?xml version='1.0'?><svg/>",
        b"<!DOCTYPE html><html><body>404</body></html>",
        b"8BPS\0\1\0\0\0\0\0\0\0\3\0\0\0\1\0\0\0\1\0\x08\0\3",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        b"\x1f\x8b\x08\0" + zlib.compress(PNGS["RGB"]),
        b"PK\x03\x04" + bytes(26),
        b"\x93NUMPY\1\0v\0{'descr': '|u1'}",
        b"hello, world",
        b"\0" * 1000,
        b"\xff" * 1000,
        b"\n" + PNGS["RGB"],
        PNGS["RGB"].replace(b"\r\n", b"\n"),
        b"\xff\xd8\xff",
        SIGNATURE,
        SIGNATURE + make_chunk(b"IEND", b""),
        b"",
        b" ",
    ]
    for text in texts:
        yield Case("no picture", text)
    for _ in range(200):
        yield Case("random bytes", chance.randbytes(chance.randint(1, 300)))
    for _ in range(200):
        start = chance.choice([SIGNATURE, b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\0\x10JFIF\0", PNGS["RGB"][:33]])
        yield Case("random bytes behind a right start", start + chance.randbytes(chance.randint(0, 300)))


def spoil_text(chance: random.Random, count: int) -> Iterator[Case]:
    """Base64 of a picture with letters that are not of it, in odd places or without its end."""
    odd = ["=", "====", "!", "\\", "%2B", "é", "\ufeff", "\0", "\u2028", "☃", '"', "\x7f", ",", "data:"]
    for number in range(count):
        file = chance.choice([*PNGS.values(), *JPEGS.values()])
        encode = (base64.b64encode, base64.urlsafe_b64encode)[number % 2]
        text = encode(file).decode()
        place = chance.randrange(1, len(text) - 4)
        spoilt = text[:place] + chance.choice(odd) + text[place:]
        yield Case("base64 with odd letters", spoilt)
        yield Case("base64 without its end", text[: place - place % 4 + 1])
        prefix = chance.choice(
            ["data:,", "data:image/png,", "data:;base32,", "base64,", "data:image/png;base64;x,"]
        )
        yield Case("base64 with an odd prefix", prefix + text)
        yield Case("base64 of base64", encode(text.encode()).decode())


def respell_text(chance: random.Random, count: int) -> Iterator[Case]:
    """Base64 of a picture in spellings that are right, or at least clear."""
    for _ in range(count):
        text = base64.b64encode(chance.choice(list(PNGS.values()))).decode()
        place = chance.randrange(len(text))
        blank = chance.choice(["\n", "\r\n", " ", "\t"])
        mixed = text.translate(str.maketrans("+", "-"))
        prefix = chance.choice(
            ["data:image/png;base64,", "DATA:;BASE64,", "data:text/plain;charset=x;base64,", " "]
        )
        yield Case("base64", text[:place] + blank + text[place:], is_refused=False)
        yield Case("base64", prefix + mixed.rstrip("="), is_refused=False)


def make_values(chance: random.Random, count: int) -> Iterator[Case]:
    """JSON that is no picture, some of it made to hurt who reads it."""
    yield from (
        Case("a value", value) for value in (None, True, 0, -1.5, 10**40, {}, {"image": {}}, [], [[]], [[[]]])
    )
    yield Case("not a number", [float("nan")] * 784)
    yield Case("infinity", [[float("inf")] * 28] * 28)
    yield Case("the longest text many times", ["x" * 500_000] + [""] * 783)
    yield Case("many empty lists", [[]] * 200_000)
    yield Case("deep lists", json.loads("[" * 400 + "]" * 400))
    yield Case("one number too few", [0] * 783)
    yield Case("rows of texts", [["0"] * 28] * 28)
    yield Case("text among numbers", [0] * 783 + ["0"])
    yield Case("a truth among numbers", [0] * 783 + [None])
    yield Case("numbers above 255", [10**30] * 784)
    for _ in range(count):
        # Some are digits in one colour.
        yield Case("a random value", _make_value(chance, 4), is_refused=False)


def _make_value(chance: random.Random, depth: int) -> Any:
    plain = [
        None,
        True,
        False,
        0,
        255,
        -1,
        0.5,
        1e308,
        2**63,
        "",
        "text",
        "☃",
        "\ud800",
        "iVBORw0KGgo=",
        "/9j/",
    ]
    kind = chance.randrange(4) if depth else 0
    if kind == 1:
        return [_make_value(chance, depth - 1) for _ in range(chance.randint(0, 5))]
    if kind == 2:
        keys = ("image", "bytes", "b64", "")
        return {chance.choice(keys): _make_value(chance, depth - 1) for _ in range(chance.randint(0, 3))}
    if kind == 3:
        return [[chance.choice(plain)] * chance.choice([27, 28, 29])] * chance.choice([27, 28, 29])
    return chance.choice(plain)


def make_cases(max_pixels: int, most_bytes: int) -> list[Case]:
    """Return more than 5,000 cases, the same in every run."""
    chance = random.Random(2015)  # noqa: S311
    return [
        *flip_bits(chance, 2000),
        *cut(chance),
        *lose_bytes(chance, 400),
        *make_bombs(max_pixels, most_bytes),
        *make_odd_pictures(),
        *make_other_files(chance),
        *spoil_text(chance, 200),
        *respell_text(chance, 100),
        *make_values(chance, 400),
    ]
