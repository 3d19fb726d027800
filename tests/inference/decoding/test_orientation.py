"""EXIF's orientation is found where Pillow finds it, and nothing comes of EXIF that is broken."""

import io
import struct
import warnings

import pytest
from PIL import Image, ImageOps

from modelyard.inference.decoding.orientation import find_turn

PICTURE = Image.frombytes("L", (3, 2), bytes(range(6)))
ORDERS = {"<": b"II*\0", ">": b"MM\0*"}


def make_exif(order: str, *entries: tuple[int, int, int, bytes], start: int = 8) -> bytes:
    """Return EXIF of entries (tag, type, count, four bytes) in a directory at `start`."""
    packed = b"".join(struct.pack(order + "HHI4s", *entry) for entry in entries)
    head = ORDERS[order] + struct.pack(order + "I", start)
    return head.ljust(start, b"\0") + struct.pack(order + "H", len(entries)) + packed + bytes(4)


def turn_by_pillow(exif: bytes) -> bytes:
    stream = io.BytesIO()
    PICTURE.save(stream, "PNG", exif=exif)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ImageOps.exif_transpose(Image.open(stream)).tobytes()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("orientation", range(10))
def test_each_orientation_turns_as_pillow_does(order: str, orientation: int) -> None:
    values = {3: struct.pack(order + "H", orientation), 4: struct.pack(order + "I", orientation)}
    for kind, value in values.items():
        others = [(0x010F, 2, 900, b"\0\0\0\x08"), (0x0111, 3, 1, b"\0\6\0\6")]
        exif = make_exif(order, *others, (0x0112, kind, 1, value), start=8 + kind)
        turn = find_turn(exif)
        turned = PICTURE if turn is None else PICTURE.transpose(turn)
        assert (turn is None) == (orientation not in range(2, 9))
        assert turned.tobytes() == turn_by_pillow(exif)


@pytest.mark.parametrize("order", ORDERS)
def test_broken_exif_turns_nothing_and_costs_nothing(order: str) -> None:
    six = struct.pack(order + "H", 6)
    whole = make_exif(order, (0x0112, 3, 1, six))
    assert find_turn(whole) is Image.Transpose.ROTATE_270
    cut = [whole[:length] for length in range(len(whole) - 4)]
    odd = [
        make_exif(order, (0x0112, kind, count, six))
        for kind, count in ((1, 1), (2, 1), (5, 1), (3, 2), (3, 0), (99, 1))
    ]
    far = whole[:4] + struct.pack(order + "I", 2**32 - 1) + whole[8:]
    for exif in (b"", b"nothing at all", b"Exif\0\0" + whole, far, *cut, *odd):
        assert find_turn(exif) is None
    # As many entries as there can be, said to hold gigabytes.
    countless = make_exif(order, *[(0x010F, 2, 2**31, b"\0\0\0\x08")] * 65_535)
    assert find_turn(countless) is None
