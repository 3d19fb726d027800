"""Processes that answer chunks of pictures, one for each processor.

Threads would wait for each other's Python, which takes as long as a small network. Each process has one
interpreter with one thread: so all processors together answer most images a second.
"""

import gc
import multiprocessing
import os
import signal
import stat
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, NamedTuple

from modelyard.batch.formats import Format, Row, choose_format
from modelyard.batch.inputs import Chunk
from modelyard.batch.parts import Part, write_part
from modelyard.errors import ModelyardError
from modelyard.inference.bundle import read_bundle
from modelyard.inference.decoding.images import ImageError
from modelyard.inference.predictor import Predictor
from modelyard.inference.rows import answer_row

# Chunks that wait for each worker, so that none waits for its next one.
WAITING = 1
# Files that are read before they are answered, so that a processor turns seldom from one to the other.
AHEAD = 16


class Task(NamedTuple):
    """What all workers are told.

    Attributes:
        bundle: the folder of the bundle that answers.
        parts: the folder that answers are written to.
        output: the file that parts will be joined to.
        key: the name of the first column.
    """

    bundle: Path
    parts: Path
    output: Path
    key: str


class _Worker:
    """What a worker process holds."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._format: Format = choose_format(task.output)
        self._predictor = Predictor(read_bundle(task.bundle), interpreters=1, threads=1)

    def answer(self, chunk: Chunk) -> tuple[int, Part]:
        """Write the answers of a chunk; return its number and its part."""
        rows = list(self._answer_all(chunk.names, chunk.images))
        part = write_part(self._task.parts, self._format, self._task.key, chunk.number, rows)
        return chunk.number, part

    def _answer_all(self, names: list[str], images: list[Any] | None) -> Iterator[Row]:
        for start in range(0, len(names), AHEAD):
            some = slice(start, start + AHEAD)
            ready = [self._read(name) for name in names[some]] if images is None else images[some]
            yield from map(self._answer, names[some], ready)

    def _read(self, path: str) -> bytes | ImageError:
        try:
            return read_picture(path, self._predictor.limits.max_bytes)
        except ImageError as error:
            return error

    def _answer(self, name: str, image: Any) -> Row:
        # Names that are not UTF-8 are written as Python shows their bytes.
        shown = os.fsencode(name).decode("utf-8", "backslashreplace")
        if isinstance(image, ImageError):
            return Row(shown, (), (), None, image.reason)
        answer = answer_row(self._predictor, image)
        if "error" in answer[0]:
            return Row(shown, (), (), None, answer[0]["error"])
        labels, scores = (tuple(one[what] for one in answer) for what in ("label", "score"))
        return Row(shown, labels, scores, answer[0].get("unlikeness"), None)


def read_picture(path: str, max_bytes: int) -> bytes:
    """Return a file's bytes.

    Raises:
        ImageError: it is no regular file of at most `max_bytes`, or cannot be read.
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


def answer_chunks(task: Task, chunks: Iterable[Chunk], workers: int) -> Iterator[tuple[int, Part]]:
    """Give the number of each chunk and its part, as they are finished.

    No more chunks are taken than the workers need next.

    Raises:
        ModelyardError: a worker was ended from outside.
        OSError: a part cannot be written.
    """
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(task,))
    try:
        pending: set[Future[tuple[int, Part]]] = set()
        for chunk in chunks:
            pending.add(pool.submit(_answer, chunk))
            if len(pending) >= workers * (1 + WAITING):
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    except BrokenProcessPool:
        raise ModelyardError(
            f"a worker process was ended, perhaps for want of memory; {task.parts} has the answers so far: "
            "run again to go on, with fewer --workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_worker: _Worker


def _begin(task: Task) -> None:
    """Make this process a worker; it ends with the process that started it, however that ends."""
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _worker = _Worker(task)
    # Rows are many objects; those that live as long as the process are looked through for garbage no more.
    gc.freeze()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None  # noqa: S101  # a worker is started by another process
    parent.join()
    os._exit(1)


def _answer(chunk: Chunk) -> tuple[int, Part]:
    return _worker.answer(chunk)
