"""The connected parts of a picture, and which of them belong to the digit."""

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Mask: TypeAlias = NDArray[np.bool_]


class Part(NamedTuple):
    """A connected part: its number, its pixels, and its first and last rows and columns."""

    label: int
    area: int
    top: int
    bottom: int
    left: int
    right: int


def keep_digit(mask: Mask, neighbours: bool = False) -> Mask:
    """Keep the largest connected part, and the parts that are large and near enough to belong to it.

    With `neighbours`, another digit or letter beside it is kept as well.
    """
    joined = _dilate(mask, max(1, max(mask.shape) // 80)) if max(mask.shape) > 40 else mask
    labels = _label(joined)
    parts = _measure_parts(np.where(mask, labels, 0))
    height, width = mask.shape

    def touches(part: Part) -> bool:
        return part.top == 0 or part.left == 0 or part.bottom == height - 1 or part.right == width - 1

    main = max(parts, key=lambda part: part.area * (0.1 if touches(part) else 1.0))
    size = _measure_side(main)

    def belongs(part: Part) -> bool:
        return part.area > 0.06 * main.area and _is_within(part, main, 0.15 * size + 1)

    def stands_beside(part: Part) -> bool:
        large = part.area > 0.25 * main.area and _measure_side(part) > 0.5 * size
        return large and not touches(part) and _is_within(part, main, 1.5 * size)

    kept = [
        part.label for part in parts if part is main or belongs(part) or (neighbours and stands_beside(part))
    ]
    return np.isin(labels, kept)


def _measure_side(part: Part) -> int:
    return max(part.bottom - part.top, part.right - part.left)


def _is_within(part: Part, main: Part, reach: float) -> bool:
    """Return whether a part's box is nearer than `reach` pixels, across and down."""
    down = max(part.top - main.bottom, main.top - part.bottom)
    return down < reach and max(part.left - main.right, main.left - part.right) < reach


def _measure_parts(labels: NDArray[np.int32]) -> list[Part]:
    rows, columns = np.nonzero(labels)
    found = labels[rows, columns]
    order = np.argsort(found, kind="stable")
    names, starts = np.unique(found[order], return_index=True)
    parts = []
    for name, places in zip(names, np.split(order, starts[1:]), strict=True):
        down, across = rows[places], columns[places]
        parts.append(Part(int(name), len(places), down.min(), down.max(), across.min(), across.max()))
    return parts


def _dilate(mask: Mask, radius: int) -> Mask:
    """Grow the mask in all directions."""
    for _ in range(radius):
        for _ in range(2):
            grown = mask.copy()
            grown[1:] |= mask[:-1]
            grown[:-1] |= mask[1:]
            mask = grown.T
    return mask


def _label(mask: Mask) -> NDArray[np.int32]:
    """Number the connected parts from 1, corners included; 0 is outside the mask.

    Each row is cut into runs; runs of neighbouring rows that touch get the same number.
    """
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    parents = list(range(len(rows)))

    def find(run: int) -> int:
        while parents[run] != run:
            parents[run] = parents[parents[run]]
            run = parents[run]
        return run

    first = np.searchsorted(rows, np.arange(mask.shape[0] + 1)).tolist()
    begins, stops = starts.tolist(), ends.tolist()
    for row in range(1, mask.shape[0]):
        above, last = first[row - 1], first[row]
        for run in range(first[row], first[row + 1]):
            while above < last and stops[above] < begins[run]:
                above += 1
            touching = above
            while touching < last and begins[touching] <= stops[run]:
                parents[find(run)] = find(touching)
                touching += 1
    labels = np.zeros(mask.shape, np.int32)
    numbers = np.array([find(run) + 1 for run in range(len(rows))], np.int32)
    labels[mask] = np.repeat(numbers, ends - starts)
    return labels
