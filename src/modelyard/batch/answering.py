"""Chunks of pictures are given to worker processes, one for each processor.

Threads would wait for each other's Python, which takes as long as a small network. Each process has one
interpreter with one thread: so all processors together answer most images a second.

A picture may end the process that reads it, by a fault in a decoder or for want of memory. Its chunk is then
answered again, each picture by itself; one that ends its process once more has no answer, and the run goes
on.
"""

import multiprocessing
import signal
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice

from modelyard.batch.formats import Row, choose_format
from modelyard.batch.inputs import Chunk
from modelyard.batch.parts import Part, write_part
from modelyard.batch.worker import Task, answer, answer_all, begin, show_name
from modelyard.errors import ModelyardError

# Chunks that wait for each worker, so that none waits for its next one.
WAITING = 1
DIED = "the process that read it died"

# A server that has imported everything makes a worker by a fork of itself.
_context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")


def prepare_workers() -> None:
    """Let the workers' imports begin, while this process does something else."""
    if sys.platform == "linux":
        from multiprocessing import forkserver, resource_tracker

        _context.set_forkserver_preload(["modelyard.batch.worker"])
        # Control-C is for this process alone, also while the server imports. The tracker, which it starts if
        # there is none, would let the signal in.
        resource_tracker.ensure_running()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def answer_chunks(task: Task, chunks: Iterable[Chunk], workers: int) -> Iterator[tuple[int, Part]]:
    """Give the number of each chunk and its part, as they are finished.

    No more chunks are taken than the workers need next. Raises ModelyardError if worker processes end before
    they are given a picture, and OSError if a part cannot be written.
    """
    prepare_workers()
    processes, waiting = [_Process(task) for _ in range(workers)], iter(chunks)
    pending: dict[Future[tuple[int, Part]], tuple[_Process, Chunk]] = {}

    def give(process: _Process) -> None:
        for chunk in islice(waiting, 1):
            pending[process.submit(chunk)] = process, chunk

    try:
        for process in processes * (1 + WAITING):
            give(process)
        while pending:
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                process, chunk = pending.pop(future)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    result = _answer_singly(task, chunk)
                give(process)
                yield result
    finally:
        for process in processes:
            process.stop()


class _Process:
    """A worker process, and the one that follows it when it has died."""

    def __init__(self, task: Task) -> None:
        self._task, self._pool = task, _start(task)

    def submit(self, chunk: Chunk) -> Future[tuple[int, Part]]:
        try:
            return self._pool.submit(answer, chunk)
        except BrokenProcessPool:
            self.stop()
            self._pool = _start(self._task)
            return self._pool.submit(answer, chunk)

    def stop(self) -> None:
        self._pool.shutdown(cancel_futures=True)


def _answer_singly(task: Task, chunk: Chunk) -> tuple[int, Part]:
    """Answer a chunk on which a process died: each picture by itself, in one that is there for them alone."""
    rows: list[Row] = []
    pool = _start_surely(task)
    try:
        for single in chunk.split():
            try:
                rows += pool.submit(answer_all, single).result()
            except BrokenProcessPool:
                rows.append(Row(show_name(single.names[0]), (), (), None, DIED))
                pool.shutdown()
                pool = _start_surely(task)
    finally:
        pool.shutdown()
    return chunk.number, write_part(task.parts, choose_format(task.output), task.key, chunk.number, rows)


def _start(task: Task) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=_context, initializer=begin, initargs=(task,))


def _start_surely(task: Task) -> ProcessPoolExecutor:
    """Start a process that has not died yet; if that cannot be had, no picture is the cause."""
    pool = _start(task)
    try:
        pool.submit(answer_all, Chunk(0, [], [])).result()
    except BrokenProcessPool:
        raise ModelyardError(
            "worker processes end before they are given a picture, perhaps because memory ran out; "
            f"{task.parts} has the answers so far: run again to go on, with fewer --workers"
        ) from None
    return pool
