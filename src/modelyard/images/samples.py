"""A few digits as PNG files, for people and for the serve stage."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modelyard.images.dataset import Digits
from modelyard.files import replace_file


def write_samples(folder: Path, digits: Digits, count: int) -> list[Path]:
    """Write one digit of each class in turn, as 28x28 grey PNGs.

    A file's name tells the truth about it: `digit-07-label-3.png`. Samples of an earlier run are removed.

    Returns:
        The files, in their order; fewer than `count` where there are fewer digits.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for earlier in folder.glob("digit-*-label-?.png"):
        earlier.unlink()
    files = []
    for number, index in enumerate(one_of_each_in_turn(digits.labels, count)):
        path = folder / f"digit-{number:02}-label-{digits.labels[index]}.png"
        with replace_file(path) as new:
            Image.fromarray(digits.images[index]).save(new, format="PNG")
        files.append(path)
    return files


def one_of_each_in_turn(labels: NDArray[np.uint8], count: int) -> NDArray[np.intp]:
    """Return the indices of the first 0, the first 1, … the first 9, the second 0, …; at most `count`."""
    order = np.argsort(labels, kind="stable")
    by_class = labels[order]
    rank = np.arange(len(labels)) - np.searchsorted(by_class, by_class)
    return order[np.lexsort((by_class, rank))][:count]
