"""Parts of a table, written whole or not at all, each by one process and under a unique name."""

import os
import secrets
import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from modelyard.files import replace_file
from modelyard.imports import without_collecting
from modelyard.monitoring.tables.places import Place
from modelyard.monitoring.tables.schema import EPOCH, Table, make_schema, name_day

_DAY_US = 86_400_000_000

Values = tuple[Any, ...]


def write_rows(place: Place, table: Table, model: str, rows: Sequence[Values]) -> list[str]:
    """Write rows as parts, one for each UTC day among them; return the parts' paths.

    Each row has a value for every column of the table, in their order; the time first, in whole microseconds
    since 1970. Raises OSError if the place cannot be written; parts of earlier days may be there, whole.
    """
    by_day = groupby(sorted(rows, key=find_day), find_day)
    return [write_part(place, table, model, list(found), name_part()) for _, found in by_day]


def write_part(place: Place, table: Table, model: str, rows: Sequence[Values], name: str) -> str:
    """Write rows of one UTC day as a part; return its path.

    A part with the same name is replaced: a second attempt after an error leaves no row twice, even where the
    first one was written after all. See `write_rows` for the rest.
    """
    content = _encode(table, rows)
    day = (EPOCH + timedelta(days=find_day(rows[0]))).date()
    path = f"{place.folder(table, model, name_day(day))}/{name}"
    write_file(place, path, content)
    return path


def warm_up(table: Table) -> None:
    """Let pyarrow import what it needs for a part (pandas, where it is installed): that takes a second.

    Python then looks through none of that for garbage, which held up requests for 80 ms each time.
    """
    with without_collecting():
        _encode(table, [])


def _encode(table: Table, rows: Sequence[Values]) -> bytes:
    import pyarrow
    from pyarrow import parquet

    schema = make_schema(table)
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    arrays = [pyarrow.array(values, kind) for values, kind in zip(columns, schema.types, strict=True)]
    content = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.Table.from_arrays(arrays, schema=schema), content, compression="zstd")
    encoded: bytes = content.getvalue().to_pybytes()
    return encoded


def write_file(place: Place, path: str, content: bytes) -> None:
    """Write a file whole or not at all, in a place's file system; raises OSError if it cannot be written."""
    if place.is_local:
        # Until the file is whole, its name starts with a dot, and readers skip it.
        with replace_file(Path(path)) as new:
            new.write_bytes(content)
        return
    with place.files.open_output_stream(path) as stream:
        stream.write(content)


def name_part() -> str:
    """Return a name that no other writer has: two pods may have the same host name and process number."""
    time = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    host = "".join(sign if sign.isalnum() and sign.isascii() else "-" for sign in socket.gethostname())[:63]
    return f"part-{time}-{host}-{os.getpid()}-{secrets.token_hex(6)}.parquet"


def find_day(row: Values) -> int:
    """Return the UTC day of a row, in days since 1970."""
    return int(row[0] // _DAY_US)
