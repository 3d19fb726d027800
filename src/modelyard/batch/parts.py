"""The answers of an unfinished run: a folder beside the output, with a file for each chunk.

    manifest.json    what is answered by what; written before the first part
    list             the paths of the pictures, where they are files
    version/         the bundle that answers
    <chunk>-<pictures>-<errors>-<bytes>.rows

A part's name states its size, so that one that a power cut has torn is found.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from modelyard.batch.formats import Format, Row
from modelyard.errors import ModelyardError, UsageError
from modelyard.files import write_json

MANIFEST = "manifest.json"
_NAME = re.compile(r"([0-9]+)-([0-9]+)-([0-9]+)-([0-9]+)\.rows")


class Part(NamedTuple):
    """The answers of one chunk: their file, its number of pictures, and of those without an answer."""

    path: Path
    pictures: int
    errors: int


def name_parts(output: Path) -> Path:
    """Return the folder of an output's parts."""
    return output.with_name(f"{output.name}.parts")


@contextmanager
def hold_parts(output: Path) -> Iterator[Path]:
    """Yield the folder of an output's parts, which is this process's alone meanwhile.

    The folder goes if the body fails before it began anything. Raises ModelyardError if another process holds
    it, or there can be none, and UsageError if the output is a folder.
    """
    from filelock import FileLock, Timeout

    if output.is_dir():
        raise UsageError(f"--out: expected a file, got the folder {output}")
    folder = name_parts(output)
    lock = FileLock(folder / "lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise ModelyardError(
            f"{output}: another process is writing it: wait until it ends, or name another --out"
        ) from None
    except OSError as error:
        why = f"{error.strerror}: {error.filename}"
        raise ModelyardError(
            f"{output}: it cannot be written: {why}: fix that, or name another --out"
        ) from None
    try:
        yield folder
    except OSError as error:
        # A full disk names no file.
        error.filename = error.filename or str(output)
        raise
    finally:
        if not (folder / MANIFEST).exists():
            shutil.rmtree(folder, ignore_errors=True)
        lock.release()


def begin(folder: Path, run: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of the run that is begun in the folder of the parts, or begin it with these.

    `run` has plain values that must be the same when a run goes on; `facts` are what the first call decides
    for all. Raises UsageError if another run was begun here, and ModelyardError if the manifest cannot be
    read.
    """
    path = folder / MANIFEST
    if not path.exists():
        write_json(path, {"run": run, "facts": facts})
        return dict(facts)
    try:
        found = json.loads(path.read_bytes())
        begun, kept = dict(found["run"]), dict(found["facts"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelyardError(f"{path}: expected the manifest of a run ({error!r}): remove {folder}") from None
    if begun != run:
        changed = [f"{key} {begun.get(key)}, now {run.get(key)}" for key in run if begun.get(key) != run[key]]
        raise UsageError(
            f"{folder} was started with {'; '.join(changed)}: repeat the first command, or remove the folder"
        )
    return kept


def write_part(folder: Path, format_: Format, key: str, number: int, rows: Sequence[Row]) -> Part:
    """Write the answers of one chunk, whole or not at all.

    It is not forced to the disk, which would take longer than the answers of a small network; `find_parts`
    leaves out what a power cut has torn.
    """
    new = folder / f".{number}.{os.getpid()}.new"
    format_.write_part(new, key, rows)
    errors = sum(row.error is not None for row in rows)
    part = folder / f"{number:08}-{len(rows)}-{errors}-{new.stat().st_size}.rows"
    return Part(new.replace(part), len(rows), errors)


def find_parts(folder: Path) -> dict[int, Part]:
    """Return the whole parts by the number of their chunk, in its order."""
    parts = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if match := _NAME.fullmatch(entry.name):
                number, pictures, errors, size = map(int, match.groups())
                if entry.stat().st_size == size:
                    parts[number] = Part(Path(entry.path), pictures, errors)
    return dict(sorted(parts.items()))
