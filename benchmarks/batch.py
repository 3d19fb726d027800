"""Measure what `modelyard predict` answers beside what the processors could.

    python -m benchmarks.batch BUNDLE PICTURES [--pictures 50000] [--rounds 3]

PICTURES is a folder of PNG or JPEG files, which are answered again and again. The goal is 95 % of what the
predictor alone answers on one processor, times the processors. Both are measured in turn, round after round:
in wall-clock time, which means something on an idle machine only, with the start of the workers and without
it; and in seconds of processors.
"""

import argparse
import contextlib
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.command import count, describe_machine
from modelyard.batch.answering import answer_chunks, prepare_workers
from modelyard.batch.formats import choose_format
from modelyard.batch.inputs import PictureFiles, list_files
from modelyard.batch.prediction import choose_rows
from modelyard.batch.worker import Task
from modelyard.inference.bundle import read_bundle
from modelyard.inference.predictor import Predictor
from modelyard.inference.rows import answer_row
from modelyard.inference.runtime.processors import count_processors

# Of the predictor alone, on one processor; a tenth is enough to know its rate.
SHARE = 10


class Rate(NamedTuple):
    """Pictures a second, the same with the start of the workers, and pictures for a second of a processor."""

    wall: float
    started: float
    processor: float


def measure_predictor(bundle: Path, paths: list[str], pictures: int) -> Rate:
    """Answer files that are in memory, in this process."""
    predictor = Predictor(read_bundle(bundle), interpreters=1, threads=1)
    files = [Path(path).read_bytes() for path in paths[:pictures]]
    predictor.warm_up()
    began, used = time.perf_counter(), time.process_time()
    for file in islice(cycle(files), pictures):
        answer_row(predictor, file)
    wall = pictures / (time.perf_counter() - began)
    return Rate(wall, wall, pictures / (time.process_time() - used))


def measure_batch(bundle: Path, paths: list[str], pictures: int) -> Rate:
    """Answer files as the command does, from listing to the joined output.

    The workers' imports begin before, as the command lets them while it asks the registry; the rest of their
    start is the time until the first answers are there.
    """
    prepare_workers()
    with tempfile.TemporaryDirectory() as folder:
        family, parts, output = [psutil.Process()], Path(folder), Path(folder, "answers.parquet")
        before = _processor_seconds(family)
        called = time.perf_counter()
        inputs = PictureFiles(islice(cycle(paths), pictures), parts / "list")
        chunks = inputs.chunk(choose_rows(read_bundle(bundle)), ())
        found: dict[int, Path] = {}
        first, began, used = 0, 0.0, dict(before)
        for number, part in answer_chunks(Task(bundle, parts, output, "path"), chunks, count_processors()):
            if not found:
                began, first = time.perf_counter(), part.pictures
                # Once: to look for processes takes long.
                family += family[0].children(recursive=True)
            found[number] = part.path
            used |= _processor_seconds(family)
        choose_format(output).join((found[number] for number in sorted(found)), output, "path", {})
        ended = time.perf_counter()
    processor = sum(seconds - before.get(pid, 0) for pid, seconds in used.items())
    return Rate((pictures - first) / (ended - began), pictures / (ended - called), pictures / processor)


def _processor_seconds(processes: Iterable[psutil.Process]) -> dict[int, float]:
    """Return what each has used, by its id; one that has ended is left out."""
    used = {}
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            used[process.pid] = times.user + times.system
    return used


def main() -> None:
    """Measure, and print the medians of the rounds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.batch", description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("folder", metavar="PICTURES")
    parser.add_argument("--pictures", type=count, default=50_000, metavar="N")
    parser.add_argument("--rounds", type=count, default=3, metavar="N")
    given = parser.parse_args()
    paths, processors = list(list_files([given.folder], [])), count_processors()
    spawn, shares = multiprocessing.get_context("spawn"), []
    for _ in range(given.rounds):
        with ProcessPoolExecutor(1, mp_context=spawn) as pool:
            share = given.pictures // SHARE
            alone = pool.submit(measure_predictor, given.bundle, paths, share).result()
        all_ = measure_batch(given.bundle, paths, given.pictures)
        most = alone.wall * processors
        shares.append(Rate(all_.wall / most, all_.started / most, all_.processor / alone.processor))
        print(
            f"alone {alone.wall:,.0f} a second, predict {all_.wall:,.0f}, with start {all_.started:,.0f}; "
            f"for each second of a processor {alone.processor:,.0f} and {all_.processor:,.0f}",
            flush=True,
        )
    wall, started, processor = (statistics.median(column) for column in zip(*shares, strict=True))
    print(f"{describe_machine(())}: predict answers {wall:.1%} of {processors} times the predictor alone")
    print(f"with the start of the workers: {started:.1%}; for each second of a processor: {processor:.1%}")


if __name__ == "__main__":
    main()
