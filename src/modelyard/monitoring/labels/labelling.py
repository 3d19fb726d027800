"""Labels from a CSV file, written to the table of labels."""

import csv
import re
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from modelyard.errors import ModelyardError
from modelyard.monitoring.tables.places import Place
from modelyard.monitoring.tables.schema import FILE, LABELS
from modelyard.monitoring.tables.writing import write_rows

HEADER = "expected the columns label and sha256, or label, request_id and (for batches) index"
_HIGHEST_INDEX = 2**31


def label_from_file(place: Place, model: str, path: Path, labels: Collection[str]) -> int:
    """Write a row for each line of a CSV file, all of them or none; return their number.

    The file is UTF-8, with a header: `label` with `sha256`, or with `request_id` and `index`. `labels` are
    those that the model knows. Raises ModelyardError if a line is wrong (the message says which), or the file
    or the place fails.
    """
    now = time.time_ns() // 1000
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [(now, *row) for row in _read_rows(path, csv.DictReader(file), labels)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ModelyardError(f"{path}: expected a CSV file in UTF-8: {error}") from None
    try:
        write_rows(place, LABELS, model, rows)
    except OSError as error:
        raise ModelyardError(f"{place.name}: expected a place that can be written: {error}") from None
    return len(rows)


def _read_rows(path: Path, lines: Any, labels: Collection[str]) -> Iterator[tuple[Any, ...]]:
    names = set(lines.fieldnames or ())
    if "label" not in names or not names & {"sha256", "request_id"}:
        raise ModelyardError(f"{path}: {HEADER}, got {', '.join(lines.fieldnames or ()) or 'none'}")
    for line in lines:
        values = {name: (line.get(name) or "").strip() for name in ("label", "sha256", "request_id", "index")}
        if wrong := _find_fault(values, labels):
            raise ModelyardError(f"{path}, line {lines.line_num}: {wrong}")
        # The recorded answer has the version.
        yield (
            values["request_id"],
            int(values["index"] or 0),
            "",
            values["sha256"].lower(),
            values["label"],
            FILE,
        )


def _find_fault(values: dict[str, str], labels: Collection[str]) -> str | None:
    label, sha256, index = values["label"], values["sha256"], values["index"]
    if label not in labels:
        some = ", ".join(list(labels)[:10]) + (", ..." if len(labels) > 10 else "")
        return f"expected a label of the model ({some}), got {label!r}"
    if not sha256 and not values["request_id"]:
        return "expected a sha256 or a request_id, got neither"
    if sha256 and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        return f"expected a sha256 of 64 hex digits, got {sha256!r}"
    if index and not (index.isascii() and index.isdigit() and int(index) < _HIGHEST_INDEX):
        return f"expected an index from 0, got {index!r}"
    return None
