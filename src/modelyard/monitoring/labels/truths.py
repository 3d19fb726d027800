"""Labels that people gave to answers, found again by request or by picture."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from modelyard.monitoring.tables.places import Place
from modelyard.monitoring.tables.reading import Skipped, Wanted, read_days
from modelyard.monitoring.tables.schema import EPOCH, LABELS

if TYPE_CHECKING:
    import pyarrow

_COLUMNS = ("time", "request_id", "index", "sha256", "label")


@dataclass
class Truths:
    """The last label of each answer, and of each picture that was labelled by its digest."""

    by_answer: dict[tuple[str, int], tuple[datetime, str]] = field(default_factory=dict)
    by_sha256: dict[str, tuple[datetime, str]] = field(default_factory=dict)

    def find(self, request_id: str, index: int, sha256: str) -> tuple[datetime, str] | None:
        """Return the label that was given last to an answer or its picture, with its time."""
        found = [self.by_answer.get((request_id, index)), self.by_sha256.get(sha256)]
        return max((one for one in found if one), default=None)

    def know(self, rows: "pyarrow.Table") -> "pyarrow.ChunkedArray":
        """Return for each row of answers whether there may be a label: a mask of bool."""
        import pyarrow
        from pyarrow import compute

        requests = pyarrow.array({request for request, _ in self.by_answer}, pyarrow.string())
        return compute.or_(
            compute.is_in(rows["request_id"], requests),
            compute.is_in(rows["sha256"], pyarrow.array(self.by_sha256, pyarrow.string())),
        )

    def label(self, rows: "pyarrow.Table") -> list[str | None]:
        """Return the label of each row of answers, which have `request_id`, `index` and `sha256`."""
        from pyarrow import compute

        labels: list[str | None] = [None] * len(rows)
        if not (self.by_answer or self.by_sha256):
            return labels
        # Not a list: an empty one would have no type, and nothing can be taken by it.
        places = compute.indices_nonzero(self.know(rows))
        known = rows.select(["request_id", "index", "sha256"]).take(places).to_pydict()
        for place, *keys in zip(places.to_pylist(), *known.values(), strict=True):
            found = self.find(*keys)
            labels[place] = found[1] if found else None
        return labels


def read_truths(place: Place, model: str, until: datetime, skipped: Skipped) -> Truths:
    """Read all labels of a model; if one answer has several, the latest counts."""
    truths = Truths()
    for _, parts in read_days(place, Wanted(LABELS, model, _COLUMNS, EPOCH, until), skipped):
        for rows in parts:
            for time, request_id, index, sha256, label in zip(*rows.to_pydict().values(), strict=True):
                known: dict[Any, tuple[datetime, str]] = truths.by_answer if request_id else truths.by_sha256
                key = (request_id, index) if request_id else sha256
                if key not in known or time >= known[key][0]:
                    known[key] = (time, label)
    return truths
