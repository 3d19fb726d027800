"""A JPEG's segments are read as libjpeg reads them, and its scans counted, before anything decodes them."""

import io
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from bad_images import JPEG_END, JPEGS, save
from hostile_files import BASELINE, PROGRESSIVE, Scan, make_jpeg, make_means, make_segment
from modelyard.inference.decoding.images import ImageError, Limits, decode

SIZE = (320, 240)
MEANS = make_means(SIZE, low=1)
REFINED = Scan([1], 1, 63, 1, 0, b"")
WHOLE = Scan([1], 0, 63, 0, 0, bytes(400))


def reason_for(jpeg: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(ImageError) as caught:
        decode(jpeg, limits or Limits())
    return caught.value.reason


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("size", [(1, 1), (17, 9), (1, 400), (640, 480)])
@pytest.mark.parametrize("progressive", [False, True])
def test_the_smallest_jpeg_of_one_colour_is_a_whole_one(
    mode: str, size: tuple[int, int], progressive: bool
) -> None:
    for options in ({}, {"optimize": True}, {"subsampling": 0}, {"restart_marker_blocks": 3}):
        file = save(Image.new(mode, size), "JPEG", progressive=progressive, **options)
        assert np.array_equal(decode(file, Limits()), np.asarray(Image.open(io.BytesIO(file)).convert("RGB")))


def test_what_does_not_make_the_pixels_is_skipped_by_its_length() -> None:
    plain = JPEGS["RGB"]
    for marker in (*range(0xE1, 0xEE), 0xEF, 0xFE):
        hidden = make_segment(marker, JPEG_END * 50 + b"\xff\xda\xff\xc9")
        assert np.array_equal(decode(plain[:2] + hidden + plain[2:], Limits()), decode(plain, Limits()))
    for junk in (b"\0" * 9, b"\xff" * 9, b"\xff\xd3", b"\xff\x01"):
        assert np.array_equal(decode(plain[:20] + junk + plain[20:], Limits()), decode(plain, Limits()))


@pytest.mark.parametrize("marker", [0x02, 0xBF, 0xC3, 0xC5, 0xC8, 0xC9, 0xCA, 0xCC, 0xD8, 0xDE, 0xF0, 0xFD])
def test_a_marker_that_is_skipped_by_one_reader_only_is_refused(marker: int) -> None:
    reason = f"a JPEG with a marker FF{marker:02X}, expected a baseline or progressive one"
    hiding = bytes([0xFF, marker, 0xFF, 0xFF])
    assert reason_for(make_jpeg(SIZE, [MEANS], before=hiding)) == reason
    # Between the restarts of a scan, where libjpeg skips nothing by length.
    scans = [Scan([1], 0, 0, 0, 1, MEANS.data + hiding), *[REFINED] * 1000]
    assert reason_for(make_jpeg(SIZE, scans, restart=1)) == reason


def test_an_end_before_any_scan_is_refused() -> None:
    """Pillow would go on behind it, reading all that follows anew with each piece."""
    file = make_jpeg(SIZE, [MEANS])
    assert reason_for(file[:2] + JPEG_END + file[2:]) == "a broken JPEG: expected one frame, got 0"
    start = file.index(b"\xff\xda")
    assert reason_for(file[:start] + JPEG_END + file[start:]) == "a truncated JPEG: scans are missing"


@pytest.mark.parametrize(
    ("components", "first", "more", "frame"),
    [
        (1, [MEANS], REFINED, PROGRESSIVE),
        (4, [make_means(SIZE, 4)], make_means(SIZE, 4), PROGRESSIVE),
        (3, [Scan([place], 0, 63, 0, 0, bytes(400)) for place in (1, 2, 3)], WHOLE, BASELINE),
    ],
)
def test_scans_may_go_through_20_samples_a_pixel(
    components: int, first: list[Scan], more: Scan, frame: int
) -> None:
    pixels, step = SIZE[0] * SIZE[1], len(more.components)
    left = 20 - sum(len(scan.components) for scan in first)
    scans, sampling = [*first, *[more] * (left // step)], (0x11,) * components
    limits = Limits(max_pixels=pixels)
    assert decode(make_jpeg(SIZE, scans, sampling, frame), limits).shape == (240, 320, 3)
    samples = pixels * (20 - left % step + step)
    reason = f"{samples} samples in all its scans, at most {pixels * 20} are allowed"
    assert reason_for(make_jpeg(SIZE, [*scans, more], sampling, frame), limits) == reason


def test_scans_without_data_for_their_blocks_are_refused() -> None:
    reason = "a truncated JPEG: a scan has too little data for its blocks"
    blocks = 40 * 30
    for frame, last, least in ((PROGRESSIVE, 0, blocks // 8), (BASELINE, 63, blocks // 4)):
        full, short = (Scan([1], 0, last, 0, 0, bytes(size)) for size in (least, least - 1))
        assert not decode(make_jpeg(SIZE, [full], frame=frame), Limits()).std()
        assert reason_for(make_jpeg(SIZE, [short], frame=frame)) == reason
        assert reason_for(make_jpeg(SIZE, [full, short], frame=frame)) == reason
    assert reason_for(JPEGS["RGB"][: JPEGS["RGB"].index(b"\xff\xda") + 14] + b"\0" + JPEG_END) == reason


def test_a_component_without_a_scan_is_missing() -> None:
    colour = make_means(SIZE, 3)
    grey = Scan([1], 0, 0, 0, 0, colour.data)
    assert decode(make_jpeg(SIZE, [colour], (0x11,) * 3), Limits()).shape == (240, 320, 3)
    assert reason_for(make_jpeg(SIZE, [grey], (0x11,) * 3)) == "a truncated JPEG: scans are missing"


def test_a_long_stretch_of_ff_in_a_scan_is_refused() -> None:
    """A decoder that is fed in pieces goes through it anew with each of them."""
    for data in (bytes(400) + b"\xff" * 5_000, b"\xff" * 5_000 + bytes(400)):
        reason = "a broken JPEG: a scan with a long stretch of FF"
        assert reason_for(make_jpeg(SIZE, [Scan([1], 0, 63, 0, 0, data)], frame=BASELINE)) == reason
    few = Scan([1], 0, 63, 0, 0, bytes(400) + b"\xff" * 9)
    assert decode(make_jpeg(SIZE, [few], frame=BASELINE), Limits()).shape == (240, 320, 3)


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        (make_segment(0xDB, (b"\0" + b"\1" * 64) * 9), "a broken JPEG: a segment FFDB of 587 bytes"),
        (b"\xff\xe0\0\1", "a broken JPEG: a segment FFE0 of 1 bytes"),
        (make_segment(PROGRESSIVE, b"\x08\0\1\0\1\1\1\x11\0"), "a broken JPEG: expected one frame, got 2"),
    ],
)
def test_a_segment_that_no_encoder_writes_is_refused(before: bytes, reason: str) -> None:
    assert reason_for(make_jpeg(SIZE, [MEANS], before=before)) == reason


@pytest.mark.parametrize("sampling", [(), (0x00,), (0x15,), (0x51, 0x11, 0x11)])
def test_a_frame_without_proper_components_is_refused(sampling: Sequence[int]) -> None:
    assert reason_for(make_jpeg(SIZE, [MEANS], sampling)) == "a broken JPEG: its frame"
    assert reason_for(make_jpeg((0, 240), [MEANS])) == "a broken JPEG: its frame"


def test_a_scan_of_a_component_that_is_none_is_refused() -> None:
    unknown = Scan([2], 0, 0, 0, 0, bytes(400))
    assert reason_for(make_jpeg(SIZE, [MEANS, unknown])) == "a broken JPEG: a scan's header"
