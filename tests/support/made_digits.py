"""Digits made by tests: bars whose place is the label, so that there is something to learn in no time."""

from pathlib import Path

import numpy as np

from modelyard.images.dataset import Obtained, write_dataset
from modelyard.images.examples import Examples
from modelyard.images.pictures import PixelPictures
from modelyard.params import Data

DIGITS = tuple(map(str, range(10)))


def make_digits(count: int, seed: int = 0) -> PixelPictures:
    """Make pictures of noise with a bright bar."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 10, count).astype(np.uint8)
    levels = generator.integers(0, 60, (count, 28, 28)).astype(np.uint8)
    for picture, label in zip(levels, labels, strict=True):
        picture[:, 2 * label + 4 : 2 * label + 7] = 250
    return PixelPictures(labels, DIGITS, levels)


def make_examples(count: int, seed: int = 0) -> Examples:
    """Make the same as a network sees them."""
    digits = make_digits(count, seed)
    return Examples(digits.levels[..., None], digits.labels, len(digits.classes))


def write_record(path: Path, data: Data, digits: PixelPictures) -> None:
    """Write the record of the dataset that `data` describes, with these as its training pictures."""
    write_dataset(path, data, Obtained(digits, None, None, "made"), {"train": digits})
