"""What a worker process does: it reads pictures and writes their answers, chunk by chunk."""

import gc
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from modelyard.batch.formats import Format, Row, choose_format
from modelyard.batch.inputs import Chunk
from modelyard.batch.parts import Part, write_part
from modelyard.inference.bundle import read_bundle
from modelyard.inference.decoding.images import ImageError
from modelyard.inference.predictor import Predictor
from modelyard.inference.rows import answer_row
from modelyard.processes import end_with_parent

# Of files that are read before they are answered, so that a processor turns seldom from one to the other.
AHEAD_BYTES = 4 << 20


class Task(NamedTuple):
    """What all workers are told.

    The bundle in the folder `bundle` answers into the folder `parts`, whose files will be joined to `output`;
    `key` is the name of the first column.
    """

    bundle: Path
    parts: Path
    output: Path
    key: str


class _Worker:
    """What a worker process holds."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.format: Format = choose_format(task.output)
        self._predictor = Predictor(read_bundle(task.bundle), interpreters=1, threads=1)

    def answer_all(self, chunk: Chunk) -> list[Row]:
        """Return the answers of a chunk."""
        if chunk.images is not None:
            return list(map(self._answer, chunk.names, chunk.images))
        return [self._answer(name, image) for name, image in self._read_ahead(chunk.names)]

    def _read_ahead(self, names: Iterable[str]) -> Iterator[tuple[str, bytes | ImageError]]:
        ahead: list[tuple[str, bytes | ImageError]] = []
        size = 0
        for name in names:
            image = self._read(name)
            ahead.append((name, image))
            size += len(image) if isinstance(image, bytes) else 0
            if size >= AHEAD_BYTES:
                yield from ahead
                ahead, size = [], 0
        yield from ahead

    def _read(self, path: str) -> bytes | ImageError:
        try:
            return read_picture(path, self._predictor.limits.max_bytes)
        except ImageError as error:
            return error

    def _answer(self, name: str, image: Any) -> Row:
        shown = show_name(name)
        if isinstance(image, ImageError):
            return Row(shown, (), (), None, image.reason)
        answer = answer_row(self._predictor, image)
        if "error" in answer[0]:
            return Row(shown, (), (), None, answer[0]["error"])
        labels, scores = ([one[what] for one in answer] for what in ("label", "score"))
        return Row(shown, labels, scores, answer[0].get("unlikeness"), None)


def show_name(name: str) -> str:
    """Return a picture's name for its row; one that is not UTF-8 as Python shows its bytes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def read_picture(path: str, max_bytes: int) -> bytes:
    """Return a file's bytes.

    Raises ImageError if it is no regular file of at most `max_bytes`, or cannot be read.
    """
    try:
        # Python's own files would ask the system twice as often, which counts beside a small network.
        # Opening a pipe would wait for its other end.
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            return _read_regular(file, max_bytes)
        finally:
            os.close(file)
    except ImageError:
        raise
    except (OSError, ValueError) as error:
        # A path with a zero byte is a ValueError.
        raise ImageError(f"cannot be read: {getattr(error, 'strerror', error)}") from None


def _read_regular(file: int, max_bytes: int) -> bytes:
    found = os.fstat(file)
    if not stat.S_ISREG(found.st_mode):
        raise ImageError("not a regular file")
    if found.st_size > max_bytes:
        raise ImageError(f"{found.st_size} bytes, at most {max_bytes} are allowed")
    content = os.read(file, found.st_size)
    # A file system over the network may give less than was asked for.
    while len(content) < found.st_size and (more := os.read(file, found.st_size - len(content))):
        content += more
    return content


_worker: _Worker


def begin(task: Task) -> None:
    """Make this process a worker; it ends with the process that started it, however that ends."""
    global _worker
    end_with_parent()
    _worker = _Worker(task)
    # Rows are many objects; those that live as long as the process are looked through for garbage no more.
    gc.freeze()


def answer(chunk: Chunk) -> tuple[int, Part]:
    """Write the answers of a chunk, in a worker process; return its number and its part."""
    task = _worker.task
    return chunk.number, write_part(
        task.parts, _worker.format, task.key, chunk.number, _worker.answer_all(chunk)
    )


def answer_all(chunk: Chunk) -> list[Row]:
    """Return the answers of a chunk, in a worker process."""
    return _worker.answer_all(chunk)
