"""What a network sees of pictures: each by the very code that serves it, in the order of the pictures."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from made_data import make_levels, write_files
from modelyard.errors import ModelyardError
from modelyard.images.fitting import fit_pictures
from modelyard.images.pictures import LIMITS, PictureFiles, PixelPictures
from modelyard.inference.decoding.images import decode
from modelyard.inference.fits import fit_pixels
from modelyard.params import Input

PHOTOS: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (67, 30, 20, 3), dtype=np.uint8)


def make_files(folder: Path) -> PictureFiles:
    """Write a prime number of photos, JPEG and PNG in turn."""
    paths = write_files(folder, {f"{n}.{('jpg', 'png')[n % 2]}": photo for n, photo in enumerate(PHOTOS)})
    sha256 = tuple(hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in paths)
    return PictureFiles(np.zeros(len(paths), np.uint8), ("a", "b"), folder, paths, sha256)


@pytest.mark.parametrize(
    ("fit", "channels", "dtype"), [("smooth", 3, np.uint8), ("crop", 1, np.uint8), ("stretch", 3, np.float32)]
)
def test_files_are_prepared_as_the_server_does_it(
    tmp_path: Path, fit: str, channels: int, dtype: type
) -> None:
    pictures = make_files(tmp_path)
    how = Input.model_validate({"fit": fit, "height": 12, "width": 16, "channels": channels})
    fitted = fit_pictures(pictures, how, "train")
    assert (fitted.shape, fitted.dtype) == ((67, 12, 16, channels), dtype)
    for place in range(67):
        served = fit_pixels(fit, decode(pictures.file(place), LIMITS, channels == 1), 12, 16)
        np.testing.assert_array_equal(fitted[place], served)


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_in_memory_of_the_right_size_are_taken_as_they_are(channels: int) -> None:
    levels = make_levels(7)
    pictures = PixelPictures(np.zeros(7, np.uint8), ("a", "b"), levels)
    how = Input.model_validate({"fit": "smooth", "height": 8, "width": 9, "channels": channels})
    fitted = fit_pictures(pictures, how, "train")
    np.testing.assert_array_equal(fitted, np.repeat(levels[..., None], channels, axis=3))


def test_no_pictures_give_an_empty_array() -> None:
    none = PixelPictures(np.zeros(0, np.uint8), ("a", "b"), np.zeros((0, 8, 9), np.uint8))
    how = Input.model_validate({"fit": "smooth", "height": 5, "width": 6, "channels": 1})
    assert fit_pictures(none, how, "train").shape == (0, 5, 6, 1)


def test_a_file_that_changed_ends_the_work_with_its_name(tmp_path: Path) -> None:
    pictures = make_files(tmp_path)
    (tmp_path / "40.jpg").write_bytes((tmp_path / "42.jpg").read_bytes())
    how = Input.model_validate({"fit": "smooth", "height": 5, "width": 6, "channels": 1})
    with pytest.raises(ModelyardError, match=r"40\.jpg has changed"):
        fit_pictures(pictures, how, "train")


def test_pictures_that_memory_does_not_hold_say_how_much_they_take() -> None:
    picture = np.zeros((1, 1, 1), np.uint8)
    # Ten million pictures without a byte of their own.
    many = np.broadcast_to(picture, (10_000_000, 1, 1))
    pictures = PixelPictures(np.zeros(len(many), np.uint8), ("a", "b"), many)
    how = Input.model_validate({"fit": "stretch", "height": 4096, "width": 4096, "channels": 3})
    with pytest.raises(ModelyardError) as refused:
        fit_pictures(pictures, how, "train")
    assert str(refused.value) == (
        "data.input: expected memory for 10,000,000 pictures of 4096x4096x3, that is 2013265.9 GB: choose a "
        "smaller height and width"
    )
