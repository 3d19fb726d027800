"""Many different pictures from a few: cut-outs, the same ones every time."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modelyard.errors import ModelyardError
from modelyard.images.pictures import LIMITS
from modelyard.inference.decoding.formats import NAMES
from modelyard.inference.decoding.images import ImageError, decode
from modelyard.inference.decoding.pixels import encode_png

NamedPixels: TypeAlias = tuple[str, NDArray[np.uint8]]
# The smallest part of a side: less of a photo shows hardly anything.
SMALLEST_SHARE = 0.25


@dataclass(frozen=True)
class Samples:
    """Sample pictures by name, then cut-outs of them, each as a file and as RGB pixels (h, w, 3)."""

    paths: Sequence[Path]
    cuts: Sequence[NamedPixels]

    def __len__(self) -> int:
        return len(self.cuts)

    def name(self, place: int) -> str:
        """Return the file's name, with a number for a cut-out."""
        return self.cuts[place][0]

    def pixels(self, place: int, grey: bool, _drawing: bool = False) -> NDArray[np.uint8]:
        """Return the pixels in RGB, or in grey (h, w) as decoding `file` in grey gives them."""
        colours = self.cuts[place][1]
        return np.asarray(Image.fromarray(colours).convert("L")) if grey else colours

    def file(self, place: int) -> bytes:
        """Return the file, or a PNG of a cut-out."""
        if place < len(self.paths):
            return self.paths[place].read_bytes()
        return encode_png(self.cuts[place][1])

    @property
    def digest(self) -> str:
        """SHA-256, in hex, over the files' digests and all names, which identify the cut-outs."""
        digest = hashlib.sha256()
        for path in self.paths:
            digest.update(f"{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
        digest.update("".join(f"{name}\n" for name, _ in self.cuts).encode())
        return digest.hexdigest()


def read_samples(folder: Path, count: int) -> Samples:
    """Read the pictures of a folder, with cut-outs up to `count`; raises ModelyardError if any fails."""
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    if not paths:
        raise ModelyardError(f"expected sample pictures in {folder}, there are none: `dvc repro import`")
    return Samples(paths, cut_out([(path.name, _decode(path)) for path in paths], count))


def cut_out(pictures: Sequence[NamedPixels], count: int) -> list[NamedPixels]:
    """Return the pictures, by name, then cut-outs of each in turn, until there are at least `count`.

    Half of the cut-outs are mirrored, and their sizes, places and proportions differ.
    """
    random = np.random.default_rng(0)
    cuts = list(pictures)
    while len(cuts) < count:
        name, pixels = pictures[len(cuts) % len(pictures)]
        cuts.append((f"{name}, part {len(cuts)}", _cut(pixels, random)))
    return cuts


def _cut(pixels: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    sides = pixels.shape[:2]
    high, wide = (max(1, int(side * random.uniform(SMALLEST_SHARE, 1))) for side in sides)
    top, left = (int(random.integers(0, rest + 1)) for rest in (sides[0] - high, sides[1] - wide))
    part = pixels[top : top + high, left : left + wide]
    return np.ascontiguousarray(part[:, ::-1] if random.random() < 0.5 else part)


def _decode(path: Path) -> NDArray[np.uint8]:
    """Decode as a bundle does."""
    try:
        return decode(path.read_bytes(), LIMITS)
    except ImageError as error:
        raise ModelyardError(f"{path}: expected a {NAMES}, got {error.reason}") from error
