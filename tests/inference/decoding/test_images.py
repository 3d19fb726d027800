"""Pixels come out of every PNG and JPEG as they should, and a reason out of everything else."""

import base64
import io
import tracemalloc
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from bad_images import JPEGS, PNGS, make_chunk, make_png, save
from modelyard.inference.decoding.images import ImageError, Limits, decode
from tflite_models import encode

LIMITS = Limits(max_bytes=100_000, max_pixels=10_000)
RANDOM = np.random.default_rng(0)
COLOURS: NDArray[np.uint8] = RANDOM.integers(0, 256, (20, 30, 3), dtype=np.uint8)
PNG = encode(COLOURS)
JPEG = encode(COLOURS, "JPEG", quality=95)


def reason_for(image: object, limits: Limits = LIMITS) -> str:
    with pytest.raises(ImageError) as caught:
        decode(image, limits)
    assert str(caught.value) == f"image 0: {caught.value.reason}"
    return caught.value.reason


# What is accepted


def test_a_png_gives_its_very_pixels() -> None:
    assert np.array_equal(decode(PNG, LIMITS), COLOURS)


def test_a_jpeg_gives_pillows_pixels() -> None:
    assert np.array_equal(decode(JPEG, LIMITS), np.asarray(Image.open(io.BytesIO(JPEG))))


def test_bytes_of_other_types_are_read() -> None:
    for image in (bytearray(PNG), memoryview(PNG), np.bytes_(PNG)):
        assert np.array_equal(decode(image, LIMITS), COLOURS)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_grey_and_palette_images_become_rgb(mode: str) -> None:
    image = Image.fromarray(COLOURS).convert(mode)
    assert np.array_equal(decode(save(image, "PNG"), LIMITS), np.asarray(image.convert("RGB")))


def test_grey_is_luma() -> None:
    expected = np.asarray(Image.fromarray(COLOURS).convert("L"))
    assert np.array_equal(decode(PNG, LIMITS, grey=True), expected)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparent_pixels_are_white_and_half_transparent_ones_half_white(mode: str) -> None:
    image = Image.new("RGBA", (3, 1), (0, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    image.putpixel((2, 0), (0, 0, 0, 128))
    file = save(image.convert("LA") if mode == "LA" else image, "PNG")
    if mode == "PA":
        file = save(image.quantize(), "PNG")
    assert decode(file, LIMITS)[0, :, 0].tolist() == [0, 255, 127]


def test_every_level_under_every_transparency_is_what_it_was_for_the_first_versions() -> None:
    levels = np.arange(256, dtype=np.uint8)
    pixels = np.stack(np.broadcast_arrays(levels, levels[::-1], levels // 2, levels[:, None]), axis=-1)
    image = Image.fromarray(pixels)
    expected = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    assert np.array_equal(decode(save(image, "PNG"), Limits()), np.asarray(expected))


def test_a_transparent_colour_is_white() -> None:
    file = save(Image.new("RGB", (1, 1), (9, 9, 9)), "PNG", transparency=(9, 9, 9))
    assert decode(file, LIMITS).tolist() == [[[255, 255, 255]]]


def draw_white_on_nothing(kind: str) -> bytes:
    alpha = Image.new("L", (4, 3), 0)
    alpha.putpixel((1, 2), 255)
    if kind == "transparency":
        return save(alpha, "PNG", transparency=0)
    white = Image.new("RGBA", alpha.size, "white")
    white.putalpha(alpha.point(lambda level: level // 2) if kind == "pale" else alpha)
    return save(white.convert(kind) if kind == "LA" else white, "PNG")


@pytest.mark.parametrize(("kind", "stroke"), [("RGBA", 0), ("LA", 0), ("transparency", 0), ("pale", 128)])
def test_white_strokes_on_nothing_are_dark_ones_on_white_where_drawings_are_read(
    kind: str, stroke: int
) -> None:
    file = draw_white_on_nothing(kind)
    drawn = np.full((3, 4), 255)
    drawn[2, 1] = stroke
    assert decode(file, LIMITS, grey=True, drawing=True).tolist() == drawn.tolist()
    assert (decode(file, LIMITS, grey=True) == 255).all()
    assert (decode(file, LIMITS, drawing=True) == 255).all()


def test_what_shows_over_white_stays_as_it_is_where_drawings_are_read() -> None:
    image = Image.new("RGBA", (3, 1), (0, 0, 0, 255))
    image.putpixel((1, 0), (255, 255, 255, 0))
    transparent, black = save(image, "PNG"), save(Image.new("L", (3, 1), 0), "PNG")
    for file in (transparent, black, make_png(2, 1, 16, 0, b"\0" + bytes([0x12, 0xFF] * 2))):
        plain = decode(file, LIMITS, grey=True)
        assert np.array_equal(decode(file, LIMITS, grey=True, drawing=True), plain)


def test_of_16_bits_the_upper_8_are_kept() -> None:
    grey = make_png(2, 1, 16, 0, b"\0" + bytes([0x12, 0xFF, 0xFE, 0x01]))
    assert decode(grey, LIMITS)[0, :, 0].tolist() == [0x12, 0xFE]
    colour = make_png(1, 1, 16, 2, b"\0" + bytes([0x12, 0xFF, 0x34, 0xFF, 0x56, 0xFF]))
    assert decode(colour, LIMITS).tolist() == [[[0x12, 0x34, 0x56]]]


def test_a_cmyk_jpeg_becomes_rgb() -> None:
    file = save(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)
    red = decode(file, LIMITS)[8, 8].astype(int)
    assert np.abs(red - [255, 0, 0]).max() < 8


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_exif_turns_the_image_upright(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = save(Image.fromarray(COLOURS), kind, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(file))))
    assert np.array_equal(decode(file, LIMITS), expected)
    assert expected.shape[:2] == ((30, 20) if orientation > 4 else (20, 30))


def test_broken_exif_leaves_the_image_as_it_is() -> None:
    file = save(Image.fromarray(COLOURS), "PNG", exif=b"Exif\0\0nonsense that is no TIFF header")
    assert np.array_equal(decode(file, LIMITS), COLOURS)


def test_what_follows_the_end_of_the_file_is_left_alone() -> None:
    assert np.array_equal(decode(PNG + b"trailing", LIMITS), COLOURS)


# What is refused


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"", "empty"),
        ("", "empty"),
        (" \n", "empty"),
        ("data:image/png;base64,", "empty"),
        ("data:image/png,abc", "a data: address that is not base64"),
        ("data:" + "x" * 500, "a data: address that is not base64"),
        ("hello world, this is text", "neither PNG nor JPEG, and not base64 of one"),
        ("ünïcode", "text that is not base64"),
        ("AAAA", "base64 of something that is neither PNG nor JPEG"),
        ("AAAAA", "neither PNG nor JPEG, and not base64 of one"),
        ("AA=A", "neither PNG nor JPEG, and not base64 of one"),
        (b"\xff\xfe\x00binary", "neither PNG nor JPEG, and not base64 of one"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG, not PNG or JPEG"),
        ("  <?xml version='1.0'?><svg/>", "an XML document, not PNG or JPEG"),
        (save(Image.fromarray(COLOURS), "GIF"), "a GIF, not PNG or JPEG"),
        (base64.b64encode(save(Image.fromarray(COLOURS), "GIF")), "a GIF, not PNG or JPEG"),
        (save(Image.fromarray(COLOURS), "BMP"), "a BMP, not PNG or JPEG"),
        (save(Image.fromarray(COLOURS), "TIFF"), "a TIFF, not PNG or JPEG"),
        (save(Image.fromarray(COLOURS), "WEBP"), "a WebP or other RIFF file, not PNG or JPEG"),
        (None, "expected bytes or base64 text, got NoneType"),
        (3.5, "expected bytes or base64 text, got float"),
    ],
)
def test_anything_else_is_refused_with_its_reason(image: object, reason: str) -> None:
    assert reason_for(image) == reason


def test_bytes_are_limited_before_anything_else() -> None:
    assert (
        reason_for(PNG, Limits(max_bytes=len(PNG) - 1))
        == f"{len(PNG)} bytes, at most {len(PNG) - 1} are allowed"
    )
    decode(PNG, Limits(max_bytes=len(PNG)))
    decode(base64.encodebytes(PNG), Limits(max_bytes=len(PNG)))
    assert reason_for("A" * 10_000, Limits(max_bytes=1000)) == "more than 1000 bytes"
    assert reason_for(base64.b64encode(PNG), Limits(max_bytes=len(PNG) - 1)).endswith("are allowed")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("side", [101, 30_000])
def test_a_bomb_is_refused_by_its_header_alone(side: int) -> None:
    # The data are no image at all: whoever decoded them would say "broken" instead.
    bomb = make_png(side, side, 8, 0, b"not pixels")
    assert reason_for(bomb) == f"{side} x {side} pixels, at most 10000 are allowed"


def test_a_jpeg_with_too_many_pixels_is_refused() -> None:
    file = save(Image.new("L", (101, 100)), "JPEG")
    assert reason_for(file) == "101 x 100 pixels, at most 10000 are allowed"


def test_what_is_packed_beside_the_pixels_of_a_png_is_not_unpacked() -> None:
    packed = zlib.compress(b"\0" * 50_000_000)
    for kind, head in ((b"zTXt", b"k\0\0"), (b"iTXt", b"k\0\1\0\0\0"), (b"iCCP", b"k\0\0")):
        file = PNG[:33] + make_chunk(kind, head + packed) + PNG[33:]
        tracemalloc.start()
        assert np.array_equal(decode(file, LIMITS), COLOURS)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1_000_000


def test_a_png_with_too_few_rows_is_no_picture_with_a_black_end() -> None:
    assert (
        reason_for(make_png(10, 10, 8, 0, (b"\0" + b"\xff" * 10) * 9)) == "a truncated PNG: rows are missing"
    )
    assert decode(make_png(10, 10, 8, 0, (b"\0" + b"\xff" * 10) * 10), LIMITS).all()


def test_an_interlaced_png_is_whole_with_the_rows_of_its_seven_passes() -> None:
    # The passes of 3 x 3 pixels hold 1, 0, 0, 1, 2, 2 and 3 of them, in rows of 1, 1, 2, 1 and 3.
    rows = b"".join(b"\0" + b"\xff" * columns for columns in (1, 1, 2, 1, 1, 3))
    assert decode(make_png(3, 3, 8, 0, rows, interlaced=1), LIMITS).all()
    short = make_png(3, 3, 8, 0, rows[:-1], interlaced=1)
    assert reason_for(short) == "a truncated PNG: rows are missing"


def test_a_png_with_a_wrong_checksum_is_refused_wherever_it_is() -> None:
    for chunk in (b"IHDR", b"IDAT", b"IEND"):
        broken = bytearray(PNG)
        broken[PNG.index(chunk) - 4 + 12 + int.from_bytes(PNG[PNG.index(chunk) - 4 :][:4]) - 1] ^= 1
        assert reason_for(bytes(broken)) == "a broken PNG: a checksum is wrong"


def test_a_second_header_cannot_enlarge_a_picture() -> None:
    large = make_png(90, 90, 8, 0, b"\0" * 90 * 91)
    assert reason_for(PNG[:33] + large[8:]) == "a broken PNG: two headers"


def test_a_png_in_pieces_is_the_same_picture() -> None:
    data = PNG[41:-16]
    pieces = b"".join(make_chunk(b"IDAT", data[place : place + 1]) for place in range(len(data)))
    empty = make_chunk(b"IDAT", b"") * 1000
    assert np.array_equal(decode(PNG[:33] + empty + pieces + empty + PNG[-12:], LIMITS), COLOURS)


@pytest.mark.parametrize("palette", [b"", make_chunk(b"PLTE", b""), make_chunk(b"tRNS", bytes(9))])
def test_a_png_of_palette_colours_without_a_palette_is_refused(palette: bytes) -> None:
    rows = bytes(11 * 10)
    assert reason_for(make_png(10, 10, 8, 3, rows, palette)) == "a broken PNG: no palette"
    late = make_png(10, 10, 8, 3, rows)[:-12] + make_chunk(b"PLTE", bytes(6)) + PNG[-12:]
    assert reason_for(late) == "a broken PNG: no palette"
    assert decode(make_png(10, 10, 8, 3, rows, make_chunk(b"PLTE", b"\1\2\3")), LIMITS)[9, 9].tolist() == [
        1,
        2,
        3,
    ]


def test_neither_side_may_be_longer_than_allowed() -> None:
    for size in ((101, 1), (1, 101)):
        for kind in ("PNG", "JPEG"):
            file = save(Image.new("L", size), kind)
            reason = f"{size[0]} x {size[1]} pixels, at most 100 a side are allowed"
            assert reason_for(file, Limits(max_side=100)) == reason
            assert decode(file, Limits(max_side=101)).shape == (size[1], size[0], 3)


def test_a_pixel_of_more_than_24_bits_counts_as_more_pixels() -> None:
    for depth, bits, most in ((8, 32, 7500), (16, 64, 3750)):
        rows = most // 100
        one = b"\0" + bytes(100 * bits // 8)
        assert decode(make_png(100, rows, depth, 6, one * rows), LIMITS).shape == (rows, 100, 3)
        reason = f"100 x {rows + 1} pixels of {bits} bits, at most {most} are allowed"
        assert reason_for(make_png(100, rows + 1, depth, 6, one * (rows + 1)), LIMITS) == reason


@pytest.mark.parametrize("grey", [False, True])
def test_a_large_picture_is_read_in_bands_that_do_not_show(
    monkeypatch: pytest.MonkeyPatch, grey: bool
) -> None:
    files = [*PNGS.values(), *JPEGS.values()]
    whole = [decode(file, LIMITS, grey) for file in files]
    monkeypatch.setattr("modelyard.inference.decoding.pixels._BAND_PIXELS", 70)
    for file, expected in zip(files, whole, strict=True):
        assert np.array_equal(decode(file, LIMITS, grey), expected)


@pytest.mark.parametrize("piece", [make_chunk(b"tEXt", b"a\0b"), make_chunk(b"prIv", b"")])
def test_a_png_of_countless_chunks_is_refused_before_they_are_read(piece: bytes) -> None:
    file = PNG[:33] + piece * 100_000 + PNG[33:]
    assert reason_for(file, Limits()) == "a PNG of more than 20000 chunks"


def test_a_jpeg_of_countless_segments_is_refused_before_they_are_joined() -> None:
    """Pillow joins EXIF segments one by one: ten megabytes of them would take minutes."""
    exif = b"\xff\xe1\0\x0cExif\0\0ABCD"
    reason = "a JPEG of more than 100 scans or 1000 segments"
    assert reason_for(JPEG[:2] + exif * 700_000 + JPEG[2:], Limits()) == reason
    assert np.array_equal(decode(JPEG[:2] + exif * 900 + JPEG[2:], LIMITS), decode(JPEG, LIMITS))


def test_a_jpeg_of_countless_scans_is_refused_before_they_are_decoded() -> None:
    """A scan of forty bytes costs as much as all pixels do: ten megabytes of them would take an hour."""
    file = save(Image.new("RGB", (90, 90)), "JPEG", progressive=True)
    last = file[file.rindex(b"\xff\xda") : -2]
    reason = "a JPEG of more than 100 scans or 1000 segments"
    assert reason_for(file[:-2] + last * 2000 + b"\xff\xd9", Limits()) == reason
    assert decode(file[:-2] + last * 20 + b"\xff\xd9", Limits()).shape == (90, 90, 3)
