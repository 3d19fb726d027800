"""IDX, the format MNIST was published in: two zero bytes, the type, the dimensions, their sizes, the data."""

import math
import struct

import numpy as np
from numpy.typing import NDArray

_UNSIGNED_BYTES = 0x08
_MEANING = {
    1: "one number for each label",
    3: "pictures, rows and columns, all grey (pictures in colour need a dataset of the format folder)",
}


def read_idx(content: bytes, dimensions: int) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes, of 3 dimensions for images or 1 for labels; else ValueError."""
    magic = bytes([0, 0, _UNSIGNED_BYTES, dimensions])
    header_bytes = 4 + 4 * dimensions
    if content[:3] == magic[:3] and len(content) > 3 and content[3] != dimensions:
        raise ValueError(f"expected {dimensions} dimensions, {_MEANING[dimensions]}; got {content[3]}")
    if len(content) < header_bytes or content[:4] != magic:
        raise ValueError(f"expected IDX magic {magic.hex()}, got {content[:4].hex() or 'nothing'}")
    shape = struct.unpack(f">{dimensions}I", content[4:header_bytes])
    expected = math.prod(shape)
    if len(content) - header_bytes != expected:
        raise ValueError(f"expected {expected:,} bytes for {shape}, got {len(content) - header_bytes:,}")
    return np.frombuffer(content, np.uint8, offset=header_bytes).reshape(shape)


def idx_bytes(array: NDArray[np.uint8]) -> bytes:
    """Return the IDX file of a uint8 array: the inverse of `read_idx`."""
    header = bytes([0, 0, _UNSIGNED_BYTES, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()
