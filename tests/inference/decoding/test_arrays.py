"""A grey picture given as numbers: its dtype says the range, and whatever is no such picture is refused."""

import numpy as np
import pytest

from modelyard.inference.decoding.arrays import read_array
from modelyard.inference.decoding.structure import ImageError

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def test_whole_numbers_are_levels_in_whichever_shape_and_type() -> None:
    for array in (GREY, GREY.ravel(), GREY[:, :, None], GREY.tolist(), GREY.astype(np.int64)):
        read = read_array(array, 3, 4)
        assert read.dtype == np.uint8
        assert np.array_equal(read, GREY)


def test_floats_are_shares_of_the_lightest_level() -> None:
    for array in (GREY / 255, (GREY / np.float32(255)).ravel(), (GREY / 255).tolist()):
        assert np.array_equal(read_array(array, 3, 4), GREY)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((4, 3), np.uint8), r"shape \(4, 3\), expected \(3, 4\) or \(12,\)"),
        (np.full((3, 4), 1.01), r"float64 with numbers outside 0..1"),
        (np.full((3, 4), np.nan), r"float64 with numbers outside 0..1"),
        (np.full((3, 4), 256), r"int64 with numbers outside 0..255"),
        (np.full(12, -1), r"int64 with numbers outside 0..255"),
        (np.full((3, 4), "a"), r"expected whole numbers"),
        (np.zeros((3, 4), bool), r"an array of bool"),
        ([[1, 2], [3]], "rows of different lengths"),
        ([10**30] * 12, "an array of object"),
        # NumPy would ask for twelve times the longest text.
        (["x" * 1_000_000] + [""] * 11, "an array of str, expected whole numbers"),
        ([], r"shape \(0,\)"),
    ],
)
def test_numbers_that_are_no_such_picture_are_refused(array: object, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        read_array(array, 3, 4)
