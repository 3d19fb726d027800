"""Parts of a table, written whole or not at all, each by one process and under a name of its own."""

import os
import secrets
import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

from modelyard.files import replace_file
from modelyard.monitoring.tables.places import Place
from modelyard.monitoring.tables.schema import Table, make_schema

# Microseconds since 1970, the first value of a row.
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_US = 86_400_000_000


def write_rows(place: Place, table: Table, model: str, rows: Sequence[tuple[Any, ...]]) -> list[str]:
    """Write rows as parts, one for each UTC day among them; return the parts' paths.

    Args:
        place: where the table is.
        table: which one.
        model: whose rows these are.
        rows: each with a value for every column of the table, in their order; the time first, in whole
            microseconds since 1970.

    Raises:
        OSError: the place cannot be written; no part of it is there. Parts of earlier days may be.
    """
    by_day = groupby(sorted(rows, key=_read_day), _read_day)
    return [_write_part(place, table, model, day, list(found)) for day, found in by_day]


def write_file(place: Place, path: str, content: bytes) -> None:
    """Write a file whole or not at all, in a place's file system.

    Raises:
        OSError: it cannot be written.
    """
    if place.is_local:
        # Readers pass over its name until it is whole: it starts with a point.
        with replace_file(Path(path)) as new:
            new.write_bytes(content)
        return
    with place.files.open_output_stream(path) as stream:
        stream.write(content)


def _write_part(place: Place, table: Table, model: str, day: int, rows: list[tuple[Any, ...]]) -> str:
    import pyarrow
    from pyarrow import parquet

    schema = make_schema(table)
    columns = [
        pyarrow.array(column, kind.type) for column, kind in zip(zip(*rows, strict=True), schema, strict=True)
    ]
    content = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.Table.from_arrays(columns, schema=schema), content, compression="zstd")
    date = (_EPOCH + timedelta(days=day)).date().isoformat()
    path = f"{place.folder(table, model, f'day={date}')}/{_name_part()}"
    write_file(place, path, content.getvalue().to_pybytes())
    return path


def _name_part() -> str:
    """Return a name that no other writer has: two pods may have the same host name and process number."""
    time = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    host = "".join(sign if sign.isalnum() and sign.isascii() else "-" for sign in socket.gethostname())[:63]
    return f"part-{time}-{host}-{os.getpid()}-{secrets.token_hex(6)}.parquet"


def _read_day(row: tuple[Any, ...]) -> int:
    return int(row[0] // _DAY_US)
