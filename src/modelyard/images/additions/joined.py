"""Pictures of a dataset together with those that were added to it."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from modelyard.images.pictures import Labels, PictureFiles, PixelPictures


def digest_labelled(keys: Iterable[str], labels: "Labels") -> str:
    """Return the SHA-256, in hex, over a line for each picture: its key, and its label."""
    digest = hashlib.sha256()
    for key, label in zip(keys, labels, strict=True):
        digest.update(f"{key} {label}\n".encode())
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class JoinedPictures:
    """Two kinds of pictures with the same classes.

    `places` is (n,): 0 to len(added) - 1 are places in `added`, those above are in `known`.
    """

    slow: ClassVar[bool] = True
    known: "PixelPictures | PictureFiles"
    added: "PictureFiles"
    places: NDArray[np.intp]

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.known.classes

    @cached_property
    def labels(self) -> "Labels":
        """The labels, (n,)."""
        both: Labels = np.concatenate([self.added.labels, self.known.labels])
        return both[self.places]

    def __len__(self) -> int:
        return len(self.places)

    def name(self, place: int) -> str:
        """Return a name for messages."""
        part, inner = self._find(place)
        return part.name(inner)

    def file(self, place: int) -> bytes:
        """Return the file's bytes."""
        part, inner = self._find(place)
        return part.file(inner)

    def key(self, place: int) -> str:
        """Return a digest that only copies share."""
        part, inner = self._find(place)
        return part.key(inner)

    def pixels(self, place: int, grey: bool, drawing: bool = False) -> NDArray[np.uint8]:
        """Return the pixels: (h, w) in grey, or (h, w, 3)."""
        part, inner = self._find(place)
        return part.pixels(inner, grey, drawing)

    def take(self, places: Sequence[int] | NDArray[np.intp]) -> Self:
        """Return some of the pictures, in this order."""
        return replace(self, places=self.places[places])

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, over a line for each picture: its key, and its label."""
        keys = (self.key(place) for place in range(len(self)))
        return digest_labelled(keys, self.labels)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of a file, apart from the labels."""
        parts = {"known": self.known, "added": self.added}
        return {"places": self.places} | {
            f"{name}_{key}": array
            for name, part in parts.items()
            for key, array in {"labels": part.labels, **part.arrays()}.items()
        }

    def _find(self, place: int) -> "tuple[PixelPictures | PictureFiles, int]":
        inner = int(self.places[place])
        return (self.added, inner) if inner < len(self.added) else (self.known, inner - len(self.added))
