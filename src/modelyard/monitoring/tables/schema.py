"""The columns of the tables; the one place that names them."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from modelyard.inference.input_figures import FIGURES

if TYPE_CHECKING:
    import pyarrow

# Under this key a part says what it holds: the table's name and the version of its columns.
METADATA_KEY = b"modelyard.table"
FIGURE_COLUMNS = tuple(f"input_{name}" for name in FIGURES)
# Who gave an answer: the version that was asked for, or one that answered the same input beside it.
ANSWER, SHADOW = "answer", "shadow"
_DAY = "day="
# From which times are counted, in microseconds.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Where a label came from.
FEEDBACK, FILE = "feedback", "file"
# How many labels after the first a row holds.
NEXT_LABELS = 4


@dataclass(frozen=True)
class Table:
    """A table: its folder's name, the version of its columns, and these, each with a pyarrow type's name."""

    name: str
    version: int
    columns: dict[str, str]

    @property
    def mark(self) -> bytes:
        """What its parts say they hold."""
        return f"{self.name}/{self.version}".encode()


ANSWERS = Table(
    "answers",
    1,
    {
        "time": "time",
        "request_id": "string",
        "index": "int32",
        "version": "string",
        "role": "string",
        "label": "string",
        "score": "float32",
        "next_labels": "list of string",
        "next_scores": "list of float32",
        "ms": "float32",
        "sha256": "string",
        "bytes": "int32",
        "mode": "string",
        "width": "int32",
        "height": "int32",
        **dict.fromkeys(FIGURE_COLUMNS, "float32"),
        "unlikeness": "float32",
    },
)
LABELS = Table(
    "labels",
    1,
    {
        "time": "time",
        "request_id": "string",
        "index": "int32",
        "version": "string",
        "sha256": "string",
        "label": "string",
        "source": "string",
    },
)


def name_day(day: date) -> str:
    """Return the name of a day's folder."""
    return f"{_DAY}{day}"


def read_day(path: str) -> date | None:
    """Return the UTC day of a part, which its folder is named after; None if it is no part of a table."""
    folder = PurePosixPath(path).parent.name
    try:
        return date.fromisoformat(folder.removeprefix(_DAY)) if folder.startswith(_DAY) else None
    except ValueError:
        return None


def make_schema(table: Table) -> "pyarrow.Schema":
    """Make a table's pyarrow schema, with the mark of what it holds.

    A time is in microseconds, UTC; `model` and `day` are in the folders' names and in no file.
    """
    import pyarrow

    types = {
        "time": pyarrow.timestamp("us", tz="UTC"),
        "string": pyarrow.string(),
        "int32": pyarrow.int32(),
        "float32": pyarrow.float32(),
        "list of string": pyarrow.list_(pyarrow.string()),
        "list of float32": pyarrow.list_(pyarrow.float32()),
    }
    columns = [(name, types[kind]) for name, kind in table.columns.items()]
    return pyarrow.schema(columns, metadata={METADATA_KEY: table.mark})
