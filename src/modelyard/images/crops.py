"""Many different pictures out of a few: cut-outs of them, the same ones every time."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

NamedPixels: TypeAlias = tuple[str, NDArray[np.uint8]]
# Of a side of the picture: smaller parts of a photo show hardly anything.
SMALLEST_SHARE = 0.25


def cut_out(pictures: Sequence[NamedPixels], count: int) -> list[NamedPixels]:
    """Return the pictures themselves, then cut-outs of each in turn, until there are at least `count`.

    Half of the cut-outs are mirrored, and their sizes, places and proportions differ.

    Args:
        pictures: name and decoded pixels, (h, w) or (h, w, 3), of each; at least one.
        count: how many in all.
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
