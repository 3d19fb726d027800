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
    owner: dict[str, str] = {}
    for picture in sorted(pictures, key=lambda picture: _PRECEDENCE.index(picture.file.split)):
        owner.setdefault(picture.look.pixels, picture.file.split)
    kept = [picture for picture in pictures if owner[picture.look.pixels] == picture.file.split]
    dropped = [picture for picture in pictures if owner[picture.look.pixels] != picture.file.split]
    return kept, dropped


def number_copies(pictures: Sequence[Seen]) -> NDArray[Any]:
    """Return (n,), the same number for copies of a picture."""
    _, numbers = np.unique([picture.look.pixels for picture in pictures], return_inverse=True)
    return numbers
