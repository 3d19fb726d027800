"""Where the pictures come from: folders and files, a list of files, or a column of a Parquet file."""

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from modelyard.errors import ModelyardError, UsageError
from modelyard.images.folders.listing import LITTER


class Chunk(NamedTuple):
    """Pictures that one worker answers at a time.

    Attributes:
        number: from 0, in the order of the pictures.
        names: the path or id of each.
        images: the cells of a table; None if the names are the paths of files.
    """

    number: int
    names: list[str]
    images: list[Any] | None

    def split(self) -> "Iterator[Chunk]":
        """Give a chunk for each picture alone, with the same number."""
        for place, name in enumerate(self.names):
            yield Chunk(self.number, [name], None if self.images is None else [self.images[place]])


class Inputs(Protocol):
    """Pictures in a fixed order.

    Attributes:
        key: what they are called by, `path` or `id`.
        count: how many there are.
        identity: plain values that change when other pictures are meant.
    """

    key: str
    count: int
    identity: dict[str, Any]

    def chunk(self, rows: int, done: Collection[int]) -> Iterator[Chunk]:
        """Give the chunks of at most `rows` pictures whose numbers are not in `done`."""


class PictureFiles:
    """Picture files, whose paths are kept in the file `listing`, one a line; it is written anew.

    Each is read by its path, which it is called by in the answers. Raises ModelyardError if there are none.
    """

    key = "path"

    def __init__(self, paths: Iterable[str], listing: Path) -> None:
        self._listing, self.count, digest = listing, 0, hashlib.sha256()
        with listing.open("w", encoding="ascii") as file:
            for self.count, path in enumerate(paths, 1):
                line = f"{json.dumps(path)}\n"
                digest.update(line.encode())
                file.write(line)
        if not self.count:
            raise ModelyardError("expected pictures, found no files, or only hidden ones")
        self.identity = {"files": self.count, "sha256": digest.hexdigest(), "folder": str(Path.cwd())}

    def chunk(self, rows: int, done: Collection[int]) -> Iterator[Chunk]:
        """Give the chunks of at most `rows` pictures whose numbers are not in `done`."""
        with self._listing.open(encoding="ascii") as lines:
            for number in range(-(-self.count // rows)):
                some = list(islice(lines, rows))
                if number not in done:
                    yield Chunk(number, [json.loads(line) for line in some], None)


class PictureTable:
    """A column of pictures in a Parquet file: bytes, base64 text, or structs with a field `bytes`.

    `ids` is the name of another column that says what each is called; None takes the row's number, from 0.
    Raises ModelyardError if the file cannot be read, and UsageError if it has no such column.
    """

    key = "id"

    def __init__(self, path: Path, images: str, ids: str | None) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        self._images, self._ids = images, ids
        try:
            # Without reading ahead, no more of a large row group is in memory than is worked on.
            self._file = parquet.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20)
        except (OSError, pa.ArrowException) as error:
            raise ModelyardError(f"{path}: expected a Parquet file ({error})") from None
        self._columns = [images] if ids is None else [images, ids]
        schema = self._file.schema_arrow
        for name in self._columns:
            if name not in schema.names:
                known = ", ".join(schema.names)
                raise UsageError(
                    f"{path}: expected a column {name!r}, found {known}: name it with --column or --id"
                )
        self.count = self._file.metadata.num_rows
        if not self.count:
            raise ModelyardError(f"{path}: expected pictures, found no rows")
        found = path.stat()
        self.identity = {
            "table": str(path.absolute()),
            "bytes": found.st_size,
            "modified": found.st_mtime_ns,
            "columns": self._columns,
        }

    def chunk(self, rows: int, done: Collection[int]) -> Iterator[Chunk]:
        """Give the chunks of at most `rows` pictures whose numbers are not in `done`."""
        number = start = 0
        for group in range(self._file.num_row_groups):
            size = self._file.metadata.row_group(group).num_rows
            chunks = -(-size // rows)
            # A row group that is done is not read again.
            if not all(one in done for one in range(number, number + chunks)):
                yield from self._read_group(group, number, start, rows, done)
            number, start = number + chunks, start + size

    def _read_group(
        self, group: int, number: int, start: int, rows: int, done: Collection[int]
    ) -> Iterator[Chunk]:
        batches = self._file.iter_batches(rows, [group], self._columns, use_threads=False)
        # Batches may be smaller than asked for.
        columns = ([column.to_pylist() for column in batch.columns] for batch in batches)
        cells = (row for batch in columns for row in zip(*batch, strict=True))
        for place in count():
            some = list(islice(cells, rows))
            if not some:
                return
            if number + place not in done:
                first = start + place * rows
                names = [str(row[-1]) if self._ids else str(first + at) for at, row in enumerate(some)]
                yield Chunk(number + place, names, [_unwrap(row[0]) for row in some])


def _unwrap(cell: Any) -> Any:
    """Return the file in a cell as Hugging Face's data sets have them, or the cell itself."""
    return cell.get("bytes") if isinstance(cell, dict) else cell


def list_files(names: Iterable[str], skipped: Collection[str]) -> Iterator[str]:
    """Give files, and for each folder the files below it, by name; hidden ones are left out.

    The names of one folder are in memory at a time, some hundred bytes each. `skipped` are absolute paths
    that are left out of folders. Raises ModelyardError if a folder cannot be read, or a link leads back to a
    folder around it.
    """
    for name in names:
        if Path(name).is_dir():
            yield from _walk(name, (), {Path(path).absolute() for path in skipped})
        else:
            yield name


def _walk(folder: str, above: tuple[tuple[int, int], ...], skipped: Collection[Path]) -> Iterator[str]:
    """Give the files below a folder; `above` has device and inode of the folders around it."""
    try:
        status = Path(folder).stat()
        # Whether it is a folder comes with the name, without a question to the system for each.
        with os.scandir(folder) as entries:
            found = sorted((entry.name, _is_folder(entry)) for entry in entries)
    except OSError as error:
        raise ModelyardError(f"expected a folder that can be read, got {folder}: {error.strerror}") from None
    here = (status.st_dev, status.st_ino)
    if here in above:
        raise ModelyardError(
            f"expected no links in circles, got the link {folder} to a folder that contains it"
        )
    left_out = {path.name for path in skipped if path.parent == Path(folder).absolute()}
    for name, is_folder in found:
        path = os.path.join(folder, name)  # noqa: PTH118  # keeps "./" as the caller wrote it
        if name.startswith(".") or name.lower() in LITTER or name in left_out:
            continue
        if is_folder:
            yield from _walk(path, (*above, here), skipped)
        else:
            yield path


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link to itself is a file that cannot be read.
        return False


def read_list(name: str) -> Iterator[str]:
    """Give the paths in a file, one a line, or on stdin if the name is `-`; empty lines are left out.

    Raises ModelyardError if the file cannot be read.
    """
    try:
        with open(0 if name == "-" else name, errors="surrogateescape", closefd=name != "-") as lines:
            yield from filter(None, (line.rstrip("\n") for line in lines))
    except OSError as error:
        raise ModelyardError(f"--files {name}: expected a list of files: {error.strerror}") from None
