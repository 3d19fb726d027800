"""The picture of corruptions: whole, the same every time, also of a single photo."""

from pathlib import Path

import numpy as np
from PIL import Image

from modelyard.evaluation.corruptions import KINDS
from modelyard.evaluation.robustness import Robustness
from modelyard.images.pictures import Pictures, PixelPictures
from modelyard.plots.robustness import plot_robustness
from picture_folders import hold_files
from tflite_models import encode

SUBJECT = "mine (float32) on the 4 test images of mine"


def test_the_same_numbers_give_the_same_bytes_with_a_row_for_every_kind(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (4, 28, 28)).astype(np.uint8)
    pictures = PixelPictures(np.zeros(4, np.uint8), ("a", "b"), levels)
    few, all_kinds = (draw(tmp_path, pictures, kinds) for kinds in (("fog", "line"), tuple(KINDS)))
    assert draw(tmp_path, pictures, ("fog", "line")) == few
    heights = [Image.open(tmp_path / f"{count}.png").height for count in (2, len(KINDS))]
    assert heights[1] - heights[0] > 50 * (len(KINDS) - 2)
    assert few != all_kinds


def test_a_photo_in_colour_that_was_asked_in_one_strength_alone_is_drawn(tmp_path: Path) -> None:
    photo = np.zeros((700, 900, 3), np.uint8)
    photo[:, :450] = (200, 30, 30)
    files = hold_files(tmp_path / "files", [encode(photo, "JPEG")], np.zeros(1, np.uint8), ("a", "b"))
    draw(tmp_path, files, ("blur",))
    drawn = np.asarray(Image.open(tmp_path / "1.png").convert("RGB")).astype(int)
    # The samples are in colour.
    assert ((drawn[..., 0] > 150) & (drawn[..., 1] < 80)).any()


def draw(folder: Path, pictures: Pictures, kinds: tuple[str, ...]) -> bytes:
    right = np.random.default_rng(1).random((len(pictures), len(kinds))) < 0.7
    path = folder / f"{len(kinds)}.png"
    found = Robustness(kinds, np.arange(len(pictures)), right, np.ones(len(pictures), bool), seed=0)
    plot_robustness(path, found, pictures, SUBJECT)
    return path.read_bytes()
