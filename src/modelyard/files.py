"""Files and folders that appear whole or not at all."""

import csv
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Yield a new file beside `path` to write to; at the end it replaces `path` in one step.

    If the body fails, or the process is killed, `path` stays as it was. Missing folders are created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)
    os.close(handle)
    new = Path(name)
    try:
        yield new
        new.chmod(0o666 & ~_umask())
        _flush(new)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def replace_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder beside `path` to fill; at the end it replaces `path`.

    If the body fails, the process is killed or the machine stops, `path` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", suffix=".new", dir=path.parent) as beside:
        new = Path(beside, "new")
        new.mkdir()
        yield new
        for file in new.rglob("*"):
            if file.is_file():
                _flush(file)
        if path.exists():
            path.replace(Path(beside, "old"))
        new.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON; the same value gives the same bytes. NaN and infinity are refused."""
    with replace_file(path) as new:
        new.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV, whole or not at all."""
    with replace_file(path) as new, new.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _flush(path: Path) -> None:
    """Have a file on the disk itself before its name points to it."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
