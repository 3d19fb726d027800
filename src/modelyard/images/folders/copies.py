"""Copies: files that decode to the same pixels, which must not be in two splits."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.errors import ModelyardError
from modelyard.images.folders.checking import Look
from modelyard.images.folders.listing import Listed, name_some

# A copy stays in the first of them that has it.
_PRECEDENCE = ("test", "validation", "train")


@dataclass(frozen=True)
class Seen:
    """A picture: its place, and its digests."""

    file: Listed
    look: Look


def refuse_two_labels(pictures: Iterable[Seen]) -> None:
    """Raise a ModelyardError, with both paths, for copies that are in different classes."""
    first: dict[str, Listed] = {}
    pairs = []
    for picture in pictures:
        other = first.setdefault(picture.look.pixels, picture.file)
        if other.label != picture.file.label:
            pairs.append(f"{other.path} and {picture.file.path}")
    if pairs:
        raise ModelyardError(
            f"expected each picture in one class, found copies in two {name_some(pairs)}\n"
            "Remove the file of each pair that lies in the wrong folder."
        )


def part_copies(pictures: Sequence[Seen]) -> tuple[list[Seen], list[Seen]]:
    """Return the pictures without copies of another split, and these copies; test keeps all of its own."""
    place = {split: number for number, split in enumerate(_PRECEDENCE)}
    best: dict[str, int] = {}
    for picture in pictures:
        number = place[picture.file.split]
        best[picture.look.pixels] = min(number, best.get(picture.look.pixels, number))
    kept: list[Seen] = []
    dropped: list[Seen] = []
    for picture in pictures:
        is_best = place[picture.file.split] == best[picture.look.pixels]
        (kept if is_best else dropped).append(picture)
    return kept, dropped


def number_copies(pictures: Sequence[Seen]) -> NDArray[Any]:
    """Return (n,), the same number for copies of a picture."""
    _, numbers = np.unique([picture.look.pixels for picture in pictures], return_inverse=True)
    return numbers
