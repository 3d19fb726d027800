"""Answers of two versions to the same inputs: how often they agree, and which is right more often."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelyard.monitoring.statistics import compare_pairs
from modelyard.monitoring.tables.schema import ANSWER, SHADOW

if TYPE_CHECKING:
    import pyarrow

_KEYS = ["request_id", "index"]


@dataclass
class Pairs:
    """A shadow's answers beside those that were given: counts of images.

    `labelled` are those with a label, `only_shadow` those of them that the shadow alone has right.
    """

    images: int = 0
    same: int = 0
    labelled: int = 0
    only_shadow: int = 0
    only_answer: int = 0

    @property
    def agreement(self) -> float:
        """The share of images with the same first answer, 0..1; 1 without images."""
        return self.same / self.images if self.images else 1.0

    @property
    def p_value(self) -> float:
        """McNemar's exact p-value: how likely so uneven a split is if both are right equally often."""
        return compare_pairs(self.only_shadow, self.only_answer)

    def add(self, other: "Pairs") -> None:
        """Add the counts of other images."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


def slim_rows(rows: "pyarrow.Table", truths: list[str | None]) -> "pyarrow.Table":
    """Return what pairing needs of rows of answers."""
    import pyarrow

    slim = rows.select([*_KEYS, "version", "role", "label"])
    return slim.append_column("truth", pyarrow.array(truths, pyarrow.string()))


def pair_answers(rows: "pyarrow.Table") -> dict[tuple[str, str], Pairs]:
    """Pair what `slim_rows` returns by request and index: the pairs by the shadow's and the other's version.

    A request id that a client used several times identifies no request: its rows are left out.
    """
    from pyarrow import compute

    found: dict[tuple[str, str], Pairs] = {}
    shadows = rows.filter(compute.equal(rows["role"], SHADOW))
    if not len(shadows):
        return found
    answers = _take_unique(rows.filter(compute.equal(rows["role"], ANSWER)))
    for version in compute.unique(shadows["version"]).to_pylist():
        shadow = _take_unique(shadows.filter(compute.equal(shadows["version"], version)))
        joined = shadow.join(answers, _KEYS, join_type="inner", left_suffix="_shadow", right_suffix="_answer")
        for other in compute.unique(joined["version_answer"]).to_pylist():
            found[version, other] = _count(joined.filter(compute.equal(joined["version_answer"], other)))
    return found


def _take_unique(rows: "pyarrow.Table") -> "pyarrow.Table":
    names = ["version", "label", "truth"]
    grouped = rows.group_by(_KEYS).aggregate([([], "count_all"), *((name, "max") for name in names)])
    from pyarrow import compute

    once = grouped.filter(compute.equal(grouped["count_all"], 1))
    return once.select([*_KEYS, *(f"{name}_max" for name in names)]).rename_columns([*_KEYS, *names])


def _count(joined: "pyarrow.Table") -> Pairs:
    from pyarrow import compute

    def total(mask: object) -> int:
        return int(compute.sum(mask).as_py() or 0)

    shadow, answer, truth = (joined[name] for name in ("label_shadow", "label_answer", "truth_answer"))
    right, other = (compute.equal(one, truth) for one in (shadow, answer))
    return Pairs(
        len(joined),
        total(compute.equal(shadow, answer)),
        total(compute.is_valid(truth)),
        total(compute.and_(right, compute.invert(other))),
        total(compute.and_(other, compute.invert(right))),
    )
