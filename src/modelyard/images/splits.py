"""Splits: the same share of every class, chosen by a seed, with copies of a picture kept together."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.errors import ModelyardError
from modelyard.images.pictures import Labels


def choose_part(
    labels: Labels, part: int | float, seed: int, key: str, groups: NDArray[Any] | None = None, keep: int = 1
) -> NDArray[np.bool_]:
    """Choose a part of the pictures, the same share of every class; return (n,), True for those chosen.

    `part` is a share below 1, or a number of pictures; the rest of a division goes to the classes with the
    largest remainder, the lower class first. A class with more than `keep` pictures gives at least one, and
    none gives its last `keep`, which further splits need. Pictures with the same value in `groups`, (n,), are
    copies: they stay together and count as one. Small classes and copies may change the number a little.
    `key` is the parameter, for the error.

    Raises ModelyardError if nothing would be left, or less than two pictures are given.
    """
    total = part if isinstance(part, int) else max(1, round(part * len(labels)))
    if not 0 < total < len(labels):
        raise ModelyardError(f"{key}: expected 1 to {len(labels) - 1} of {len(labels)} pictures, got {part}")
    groups = np.arange(len(labels)) if groups is None else groups
    random = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), dtype=bool)
    for label, count in enumerate(_quotas(labels, total)):
        places = random.permutation(np.flatnonzero(labels == label))
        chosen[_take_groups(places, groups[places], count, keep)] = True
    return chosen


def refuse_empty_classes(labels: Labels, classes: Sequence[str], split: str) -> None:
    """Raise a ModelyardError that names the classes which a split lacks, if it lacks any."""
    counts = np.bincount(labels, minlength=len(classes))
    missing = [name for name, count in zip(classes, counts, strict=True) if count == 0]
    if missing:
        raise ModelyardError(
            f"expected a picture of each of {len(classes)} classes in the {split} split, got none of "
            f"{', '.join(missing[:10])}: add some (copies count as one picture), let the split take more, or "
            "list other `classes`"
        )


def _take_groups(places: NDArray[np.intp], groups: NDArray[Any], count: int, keep: int) -> list[int]:
    """Take whole groups in order: at least one, up to `count` pictures; leave `keep` groups."""
    members: dict[Any, list[int]] = {}
    for place, group in zip(places.tolist(), groups.tolist(), strict=True):
        members.setdefault(group, []).append(place)
    most = max(0, len(members) - keep)
    taken: list[int] = []
    for group in members.values():
        if most and len(taken) + len(group) <= count:
            taken += group
            most -= 1
    return taken or (min(members.values(), key=len) if most else [])


def _quotas(labels: Labels, total: int) -> NDArray[np.int64]:
    """Divide `total` among the classes by their size: the largest remainders are rounded up."""
    sizes = np.bincount(labels).astype(np.int64)
    quotas, remainders = np.divmod(sizes * total, len(labels))
    quotas[np.argsort(-remainders, kind="stable")[: total - quotas.sum()]] += 1
    return quotas
