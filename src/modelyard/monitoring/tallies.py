"""Counts of a version's answers, in bounded memory, however many there are."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import nsmallest
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from modelyard.evaluation.measures.classification import Floats, Integers
from modelyard.evaluation.reference import SCORE, UNLIKENESS
from modelyard.inference.input_figures import FIGURES
from modelyard.monitoring.statistics import Grid
from modelyard.monitoring.tables.schema import EPOCH, FIGURE_COLUMNS

if TYPE_CHECKING:
    import pyarrow

# What is measured of each answer, and in which column of the table it is.
MEASURED = {SCORE: SCORE, UNLIKENESS: UNLIKENESS, **dict(zip(FIGURES, FIGURE_COLUMNS, strict=True))}
COLUMNS = ("time", "request_id", "index", "version", "role", "label", "sha256", *MEASURED.values())
# What is kept of an answer that the report lists.
_LISTED = ("score", "label", "time", "request_id", "index", "sha256")


class Answerer(NamedTuple):
    """A version in one of its roles: `answer` or `shadow`."""

    version: str
    role: str


@dataclass(frozen=True)
class Unsure:
    """An answer with a low score, and its label, None if nobody gave one."""

    score: float
    label: str
    time: datetime
    request_id: str
    index: int
    sha256: str
    truth: str | None


@dataclass
class Tally:
    """Counts of answers; two of them add up."""

    images: int = 0
    labelled: int = 0
    right: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    # By what is measured, as the reference's grids count it, and the sums of the values.
    cells: dict[str, Integers] = field(default_factory=dict)
    sums: Counter[str] = field(default_factory=Counter)
    unsure: list[Unsure] = field(default_factory=list)

    def add(self, other: Self, most_unsure: int) -> None:
        """Add another tally's counts, and keep the answers that were least sure."""
        self.images += other.images
        self.labelled += other.labelled
        self.right += other.right
        self.labels.update(other.labels)
        self.sums.update(other.sums)
        for name, counts in other.cells.items():
            self.cells[name] = self.cells[name] + counts if name in self.cells else counts
        self.unsure = nsmallest(most_unsure, self.unsure + other.unsure, key=lambda one: one.score)

    def mean(self, name: str) -> float | None:
        """Return the mean of what is measured, None if there is nothing."""
        return self.sums[name] / self.images if self.images else None


def count_rows(
    rows: "pyarrow.Table",
    truths: Sequence[str | None],
    step: timedelta,
    find_grids: Callable[[str], Mapping[str, Grid]],
    most_unsure: int,
) -> Iterator[tuple[Answerer, datetime, Tally]]:
    """Yield a tally for each version, role and step of time among the rows, which begins at the given time.

    `rows` have COLUMNS, `truths` a label or None for each. `find_grids` returns a version's reference.
    """
    if not len(rows):
        return
    columns = {name: rows[column].to_numpy() for name, column in MEASURED.items()}
    codes = {name: rows[name].combine_chunks().dictionary_encode() for name in ("version", "role", "label")}
    names = {name: each.dictionary.to_pylist() for name, each in codes.items()}
    version, role, label = (codes[name].indices.to_numpy(zero_copy_only=False) for name in codes)
    step_us = step // timedelta(microseconds=1)
    steps = rows["time"].to_numpy().astype("datetime64[us]").astype(np.int64) // step_us
    truth = np.array([_place(names["label"], one) for one in truths]) if any(truths) else None
    first = int(steps.min())
    shape = (len(names["version"]), len(names["role"]), int(steps.max()) - first + 1)
    groups = np.ravel_multi_index((version, role, steps - first), shape)
    for group in np.flatnonzero(np.bincount(groups)):
        of_version, of_role, begins = (int(one) for one in np.unravel_index(group, shape))
        places = np.flatnonzero(groups == group)
        answerer = Answerer(names["version"][of_version], names["role"][of_role])
        tally = _measure({name: each[places] for name, each in columns.items()}, find_grids(answerer.version))
        counts = np.bincount(label[places], minlength=len(names["label"])).tolist()
        tally.labels = +Counter(dict(zip(names["label"], counts, strict=True)))
        if truth is not None:
            tally.labelled = int((truth[places] != _NONE).sum())
            tally.right = int((truth[places] == label[places]).sum())
        tally.unsure = _list_unsure(rows, columns[SCORE], truths, places, most_unsure)
        yield answerer, EPOCH + timedelta(microseconds=(first + begins) * step_us), tally


_NONE, _OTHER = -2, -1


def _place(names: list[str], label: str | None) -> int:
    """Return the index of a label among those that were answered here."""
    if label is None:
        return _NONE
    return names.index(label) if label in names else _OTHER


def _measure(columns: Mapping[str, Floats], grids: Mapping[str, Grid]) -> Tally:
    tally = Tally(images=len(columns[SCORE]))
    for name, values in columns.items():
        finite = values[np.isfinite(values)]
        tally.sums[name] = float(finite.sum(dtype=np.float64))  # type: ignore[assignment]  # Counter of floats
        if name in grids:
            tally.cells[name] = grids[name].count(finite)
    return tally


def _list_unsure(
    rows: "pyarrow.Table", scores: Floats, truths: Sequence[str | None], places: Integers, most: int
) -> list[Unsure]:
    count = min(most, len(places))
    if not count:
        return []
    lowest = places[np.argpartition(scores[places], count - 1)[:count]].tolist()
    listed = rows.select(list(_LISTED)).take(lowest).to_pylist()
    return [Unsure(**row, truth=truths[place]) for place, row in zip(lowest, listed, strict=True)]
