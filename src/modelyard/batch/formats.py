"""The files that answers are written to: Parquet, CSV and JSON lines, all with the same rows.

A part holds the rows of one chunk in the output's own format, so that joining parts costs little. That of
Parquet has JSON lines, for which a worker need not import pyarrow and pandas; Arrow reads them fast.
"""

import csv
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from modelyard.errors import UsageError

# How many labels follow the first one.
NEXT = 4
# The least rows of a row group, except the last; many small ones are slow to read.
GROUP_ROWS = 65_536
# Of Parquet and JSON, after the first one.
COLUMNS = ("label", "score", "next_labels", "next_scores", "unlikeness", "error")
# The key of the schema's metadata that names the version of these columns.
TABLE, TABLE_VERSION = "modelyard.table", "predictions/1"


class Row(NamedTuple):
    """One picture's answer.

    Attributes:
        name: its path, or its id in a table.
        labels: best first, at most five; none if there is an error.
        scores: of the labels, 0..1.
        unlikeness: of the picture to the training pictures, 0..1; None if the version does not tell it.
        error: why there is no answer, in one line.
    """

    name: str
    labels: Sequence[str]
    scores: Sequence[float]
    unlikeness: float | None
    error: str | None


class Format(NamedTuple):
    """How rows become a file; `key` is the name of the first column, `path` or `id`.

    Attributes:
        write_part: writes the rows of one chunk: (part, key, rows).
        join: writes all parts, in their order, to one file: (parts, file, key, metadata).
        holds_metadata: the file has a place for metadata; otherwise they are written beside it.
    """

    write_part: Callable[[Path, str, Sequence[Row]], None]
    join: Callable[[Iterable[Path], Path, str, Mapping[str, str]], None]
    holds_metadata: bool = False


def choose_format(path: Path) -> Format:
    """Return the format that a file's suffix names; raises UsageError if it is none of FORMATS."""
    if path.suffix not in FORMATS:
        raise UsageError(f"--out: expected a file that ends in {', '.join(FORMATS)}, got {path.name!r}")
    return FORMATS[path.suffix]


def _write_json(path: Path, key: str, rows: Sequence[Row]) -> None:
    import orjson

    names = (key, *COLUMNS)
    with path.open("wb") as file:
        for row in rows:
            line = dict(zip(names, _to_values(row), strict=True))
            file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


def _join_json(parts: Iterable[Path], path: Path, key: str, about: Mapping[str, str]) -> None:  # noqa: ARG001
    with path.open("wb") as file:
        _concatenate(parts, file)


def _write_csv(path: Path, key: str, rows: Sequence[Row]) -> None:  # noqa: ARG001
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(map(_to_cells, rows))


def _join_csv(parts: Iterable[Path], path: Path, key: str, about: Mapping[str, str]) -> None:  # noqa: ARG001
    ranks = ("", *(f"_{rank}" for rank in range(2, NEXT + 2)))
    header = [key, *(f"{name}{rank}" for rank in ranks for name in ("label", "score")), "unlikeness", "error"]
    with path.open("wb") as file:
        file.write(f"{','.join(header)}\n".encode())
        _concatenate(parts, file)


def _join_parquet(parts: Iterable[Path], path: Path, key: str, about: Mapping[str, str]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    schema = _make_schema(key).with_metadata(dict(about))
    with parquet.ParquetWriter(path, schema) as writer:
        for tables in _gather(_read_json(part, schema) for part in parts):
            writer.write_table(pa.concat_tables(tables))


def _read_json(part: Path, schema: Any) -> Any:
    from pyarrow import json

    # A row must fit into a block, and a name may be of any length.
    whole = json.ReadOptions(use_threads=False, block_size=part.stat().st_size + 1)
    return json.read_json(part, whole, json.ParseOptions(explicit_schema=schema)).cast(schema)


def _gather(tables: Iterable[Any]) -> Iterator[list[Any]]:
    """Put tables together until they fill a row group."""
    group: list[Any] = []
    for table in tables:
        group.append(table)
        if sum(map(len, group)) >= GROUP_ROWS:
            yield group
            group = []
    if group:
        yield group


def _make_schema(key: str) -> Any:
    import pyarrow as pa

    text, number = pa.string(), pa.float32()
    types = (text, text, number, pa.list_(text), pa.list_(number), number, text)
    return pa.schema(list(zip((key, *COLUMNS), types, strict=True)))


def _to_values(row: Row) -> tuple[Any, ...]:
    """Return the values of the first column and of COLUMNS."""
    name, labels, scores, unlikeness, error = row
    if error is not None:
        return name, *[None] * (len(COLUMNS) - 1), error
    return name, labels[0], scores[0], labels[1:], scores[1:], unlikeness, None


def _to_cells(row: Row) -> list[Any]:
    pairs = [cell for pair in zip(row.labels, row.scores, strict=True) for cell in pair]
    return [row.name, *pairs, *[None] * (2 * (NEXT + 1) - len(pairs)), row.unlikeness, row.error]


def _concatenate(parts: Iterable[Path], file: Any) -> None:
    for part in parts:
        with part.open("rb") as content:
            shutil.copyfileobj(content, file, 1 << 20)


FORMATS = {
    ".parquet": Format(_write_json, _join_parquet, holds_metadata=True),
    ".csv": Format(_write_csv, _join_csv),
    ".jsonl": Format(_write_json, _join_json),
}
