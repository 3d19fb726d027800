"""A few pictures as files, for people and for the serve stage."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modelyard.files import replace_folder
from modelyard.images.pictures import Labels, Pictures
from modelyard.inference.decoding.formats import find_format


def write_samples(folder: Path, pictures: Pictures, count: int) -> None:
    """Write one picture of each class in turn, with names such as `07-label-3.png`; replaces the folder."""
    with replace_folder(folder) as new:
        for name, file in choose_samples(pictures, count):
            (new / name).write_bytes(file)


def choose_samples(pictures: Pictures, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of one picture of each class in turn, as `write_samples` writes them."""
    for number, place in enumerate(one_of_each_in_turn(pictures.labels, count)):
        file = pictures.file(int(place))
        label = _to_file_name(pictures.classes[pictures.labels[place]])
        suffix = kind.suffix if (kind := find_format(file)) else ""
        yield f"{number:02}-label-{label}{suffix}", file


def read_label(name: str, classes: Iterable[str]) -> str | None:
    """Return the class in a sample's file name, or None."""
    found = re.fullmatch(r"\d+-label-(.*)\.\w+", name)
    return next((one for one in classes if found and _to_file_name(one) == found[1]), None)


def _to_file_name(label: str) -> str:
    return re.sub(r"[^\w.-]+", "-", label)


def one_of_each_in_turn(labels: Labels, count: int) -> NDArray[np.intp]:
    """Return the places of the first of each class in turn, then of the second, …; at most `count`."""
    order = np.argsort(labels, kind="stable")
    by_class = labels[order]
    rank = np.arange(len(labels)) - np.searchsorted(by_class, by_class)
    return order[np.lexsort((by_class, rank))][:count]
