"""Measure what `modelyard predict` answers beside what the processors could.

    python -m benchmarks.batch BUNDLE PICTURES [--pictures 50000] [--rounds 3]

PICTURES is a folder of PNG or JPEG files, which are answered again and again. The goal is 95 % of what the
predictor alone answers on one processor, times the processors. Both are measured in turn, round after round:
in wall-clock time, which means something on an idle machine only, and in seconds of processors.
"""

import argparse
import multiprocessing
import resource
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import NamedTuple

from benchmarks.command import count, describe_machine
from modelyard.batch.formats import choose_format
from modelyard.batch.inputs import PictureFiles, list_files
from modelyard.batch.prediction import choose_rows
from modelyard.batch.workers import Task, answer_chunks
from modelyard.inference.bundle import read_bundle
from modelyard.inference.predictor import Predictor
from modelyard.inference.rows import answer_row
from modelyard.inference.runtime.processors import count_processors

# Of the predictor alone, on one processor; a tenth is enough to know its rate.
SHARE = 10


class Rate(NamedTuple):
    """Pictures a second, and pictures for each second of a processor."""

    wall: float
    processor: float


def measure_predictor(bundle: Path, paths: list[str], pictures: int) -> Rate:
    """Answer files that are in memory, in this process."""
    predictor = Predictor(read_bundle(bundle), interpreters=1, threads=1)
    files = [Path(path).read_bytes() for path in paths[:pictures]]
    predictor.warm_up()
    began, used = time.perf_counter(), time.process_time()
    for file in islice(cycle(files), pictures):
        answer_row(predictor, file)
    return Rate(pictures / (time.perf_counter() - began), pictures / (time.process_time() - used))


def measure_batch(bundle: Path, paths: list[str], pictures: int) -> Rate:
    """Answer files as the command does, from listing to the joined output.

    The time to start the workers is left out: it is that until the first answers are there.
    """
    with tempfile.TemporaryDirectory() as folder:
        before, parts, output = _processor_seconds(), Path(folder), Path(folder, "answers.parquet")
        inputs = PictureFiles(islice(cycle(paths), pictures), parts / "list")
        rows = choose_rows(read_bundle(bundle))
        chunks = inputs.chunk(rows, ())
        found, first, began = {}, 0, 0.0
        for number, part in answer_chunks(Task(bundle, parts, output, "path"), chunks, count_processors()):
            began, first = began or time.perf_counter(), first or part.pictures
            found[number] = part.path
        choose_format(output).join((found[number] for number in sorted(found)), output, "path", {})
        wall = (pictures - first) / (time.perf_counter() - began)
    return Rate(wall, pictures / (_processor_seconds() - before))


def _processor_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


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
        shares.append(Rate(all_.wall / (alone.wall * processors), all_.processor / alone.processor))
        print(
            f"alone {alone.wall:,.0f} a second, predict {all_.wall:,.0f}; "
            f"for each second of a processor {alone.processor:,.0f} and {all_.processor:,.0f}",
            flush=True,
        )
    wall, processor = (statistics.median(column) for column in zip(*shares, strict=True))
    print(f"{describe_machine(())}: predict answers {wall:.1%} of {processors} times the predictor alone")
    print(f"for each second of a processor, with the start of the workers: {processor:.1%}")


if __name__ == "__main__":
    main()
