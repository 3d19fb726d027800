"""The contact sheet: every image is on it, whatever the number."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import label

from modelyard.plots.contact_sheet import plot_contact_sheet
from modelyard.plots.gallery import AnsweredPhoto

GREEN = (0, 200, 0)


def photo(name: str) -> AnsweredPhoto:
    pixels = np.full((20, 30, 3), GREEN, np.uint8)
    return AnsweredPhoto(name, pixels, [{"label": "giant panda, a very long description", "score": 0.9}])


def count_images(path: Path) -> int:
    """Count the green areas of the picture."""
    green = (np.asarray(Image.open(path).convert("RGB")) == GREEN).all(axis=2)
    return int(label(green)[1])


@pytest.mark.parametrize("count", [1, 5, 7])
def test_every_image_is_drawn(tmp_path: Path, count: int) -> None:
    plot_contact_sheet(tmp_path / "sheet.png", [("models:/a/1", [photo(str(n)) for n in range(count)])])
    assert count_images(tmp_path / "sheet.png") == count


def test_each_model_has_a_section(tmp_path: Path) -> None:
    sections = [("models:/a/1", [photo("1"), photo("2")]), ("models:/b/2", [photo("3")])]
    plot_contact_sheet(tmp_path / "one.png", sections[:1])
    plot_contact_sheet(tmp_path / "two.png", sections)
    assert count_images(tmp_path / "two.png") == 3
    one, two = (Image.open(tmp_path / name).height for name in ("one.png", "two.png"))
    assert two > 1.8 * one
