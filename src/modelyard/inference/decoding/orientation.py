"""The orientation of a picture, the only part of EXIF that its pixels depend on."""

import struct

from PIL import Image

_ORIENTATION = 0x0112
# Sizes in bytes of TIFF's types SHORT, which EXIF requires, and LONG.
_WHOLE_NUMBERS = {3: 2, 4: 4}
_ORDERS = {b"II": "<", b"MM": ">"}
# EXIF's eight orientations, and the transposition that turns each upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def find_turn(exif: bytes) -> Image.Transpose | None:
    """Return the transposition that turns a picture upright, None if it is upright or its EXIF does not say.

    `exif` is a TIFF header and what follows it, as in a PNG's eXIf. Only its first directory is read, 12
    bytes an entry. Some cameras write broken EXIF beside good pixels. Such a picture counts as upright.
    """
    order = _ORDERS.get(exif[:2])
    if order is None or len(exif) < 8:
        return None
    (start,) = struct.unpack_from(order + "I", exif, 4)
    count = struct.unpack_from(order + "H", exif, start)[0] if start + 2 <= len(exif) else 0
    entries = exif[start + 2 : start + 2 + 12 * count]
    for tag, kind, values, value in struct.iter_unpack(order + "HHI4s", entries[: len(entries) // 12 * 12]):
        if tag == _ORIENTATION and values == 1 and kind in _WHOLE_NUMBERS:
            size = _WHOLE_NUMBERS[kind]
            return _UPRIGHT.get(int.from_bytes(value[:size], "little" if order == "<" else "big"))
    return None
