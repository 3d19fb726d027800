"""Parts of a table, read as far as they can be; what is skipped is named."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

from modelyard.errors import ModelyardError, first_line
from modelyard.monitoring.tables.places import Place
from modelyard.monitoring.tables.schema import METADATA_KEY, Table, make_schema, read_day

if TYPE_CHECKING:
    import pyarrow

# Reading small files from a bucket is mostly waiting.
THREADS = 8
# Parts that are read together; at 5,000 rows each, their rows take about 25 MB.
PARTS = 32
# The clocks of a cluster agree this closely; a later time comes from a clock that jumped.
CLOCK_TOLERANCE = timedelta(minutes=5)
MOST_NAMED = 3


@dataclass
class Skipped:
    """What was not read: parts by their path with a reason, and rows that are dated in the future."""

    parts: dict[str, str] = field(default_factory=dict)
    future_rows: int = 0

    def describe(self) -> list[str]:
        """Return a line for each kind, with the first few parts."""
        lines = []
        if self.parts:
            some = [f"{path}: {reason}" for path, reason in list(self.parts.items())[:MOST_NAMED]]
            more = [f"and {len(self.parts) - MOST_NAMED:,} more"] if len(self.parts) > MOST_NAMED else []
            lines.append(f"skipped parts, unreadable ({len(self.parts):,}): {'; '.join(some + more)}")
        if self.future_rows:
            lines.append(f"skipped rows, dated in the future by a wrong clock: {self.future_rows:,}")
        return lines


@dataclass(frozen=True)
class Wanted:
    """Which rows of a model's table, and which columns; times are in UTC, and the period includes `since`."""

    table: Table
    model: str
    columns: Sequence[str]
    since: datetime
    until: datetime


def read_days(
    place: Place, wanted: Wanted, skipped: Skipped
) -> Iterator[tuple[date, Iterator["pyarrow.Table"]]]:
    """Yield each day that has parts, oldest first, with its rows, a few parts at a time.

    A part that is torn, or of another table or version, or in a folder that names no day, goes to `skipped`.
    Raises ModelyardError if the place cannot be listed.
    """
    dated = _list_parts(place, wanted, skipped)
    with ThreadPoolExecutor(THREADS) as threads:
        for day, parts in groupby(dated, lambda part: part[0]):
            yield day, _read_parts(place, wanted, skipped, [path for _, path in parts], threads)


def _list_parts(place: Place, wanted: Wanted, skipped: Skipped) -> list[tuple[date, str]]:
    from pyarrow import fs

    folder = place.folder(wanted.table, wanted.model)
    try:
        listed = place.files.get_file_info(fs.FileSelector(folder, allow_not_found=True, recursive=True))
    except OSError as error:
        raise ModelyardError(f"{place.name}: expected tables that can be listed: {error}") from None
    dated = []
    for info in listed:
        if not info.is_file or not info.base_name.startswith("part-"):
            continue
        day = read_day(info.path)
        if day is None:
            skipped.parts[info.path.removeprefix(f"{place.root}/")] = "expected a folder named day=YYYY-MM-DD"
        elif wanted.since.date() <= day:
            dated.append((day, info.path))
    return sorted(dated)


def _read_parts(
    place: Place, wanted: Wanted, skipped: Skipped, paths: list[str], threads: ThreadPoolExecutor
) -> Iterator["pyarrow.Table"]:
    import pyarrow

    for start in range(0, len(paths), PARTS):
        chosen = paths[start : start + PARTS]
        parts = []
        for path, found in zip(
            chosen, threads.map(lambda path: _read_part(place, wanted, path), chosen), strict=True
        ):
            if isinstance(found, str):
                skipped.parts[path.removeprefix(f"{place.root}/")] = found
            else:
                parts.append(found)
        if parts:
            yield _choose_rows(pyarrow.concat_tables(parts), wanted, skipped)


def _read_part(place: Place, wanted: Wanted, path: str) -> "pyarrow.Table | str":
    """Return the columns of a part, or the reason why it is skipped."""
    import pyarrow
    from pyarrow import parquet

    table, schema = wanted.table, make_schema(wanted.table)
    chosen = pyarrow.schema([schema.field(name) for name in wanted.columns])
    try:
        with place.files.open_input_file(path) as stream, parquet.ParquetFile(stream) as file:
            mark = (file.schema_arrow.metadata or {}).get(METADATA_KEY, b"nothing")
            if mark != table.mark:
                return f"expected {table.mark.decode()}, it says {mark.decode(errors='replace')}"
            read: Any = file.read(list(wanted.columns))
            return read.select(list(wanted.columns)).cast(chosen)
    except (OSError, ValueError, KeyError, pyarrow.ArrowException) as error:
        return first_line(error)


def _choose_rows(rows: "pyarrow.Table", wanted: Wanted, skipped: Skipped) -> "pyarrow.Table":
    from pyarrow import compute

    latest = wanted.until + CLOCK_TOLERANCE
    future = compute.greater(rows["time"], latest)
    skipped.future_rows += int(compute.sum(future).as_py() or 0)
    return rows.filter(
        compute.and_(compute.greater_equal(rows["time"], wanted.since), compute.invert(future))
    )
