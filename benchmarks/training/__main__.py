"""`python -m benchmarks.training`: fit the textbook script and all presets, seed after seed."""

import argparse
import functools
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.command import SCRATCH, Tell, count, describe_machine, run_benchmark, start_parser
from benchmarks.report import Report, list_goals
from benchmarks.training.goals import judge
from benchmarks.training.picture import plot_runs
from benchmarks.training.presets import choose_presets
from benchmarks.training.processes import PACKAGES, Processes
from benchmarks.training.rounds import BEST, FEWER_SEEDS, SEEDS, Rounds, count_seeds
from benchmarks.training.runs import average_runs
from benchmarks.training.summary import list_medians, list_seeds, make_frame

DATA = Path("data")
CLOCK = (
    "Seconds are those of fitting: making the network, building graphs, all epochs, and a preset's "
    "validation after each epoch. Reading the data and importing TensorFlow are not included, and for the "
    "textbook script neither are scaling and validation. Every fit has a process of its own."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; return the exit code."""
    given = read_options(arguments)
    return run_benchmark(given, measure, is_full(given))


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = start_parser("training", "Fit every preset beside a textbook script, in one run.")
    few = " and ".join(f"{number} of {name}" for name, number in FEWER_SEEDS.items())
    about = f"of every network, from 0 (default: {SEEDS}, but {few})"
    parser.add_argument("--seeds", type=count, metavar="N", help=about)
    about = "only these files of conf/model (default: all; an ensemble is averaged from its members' runs)"
    parser.add_argument("--presets", nargs="+", metavar="NAME", help=about)
    about = f"with the pictures (default: {DATA})"
    parser.add_argument("--data", type=Path, default=DATA, metavar="FOLDER", help=about)
    about = f"use earlier measurements of the same settings, code and data ({SCRATCH}/training)"
    parser.add_argument("--resume", action="store_true", help=about)
    return parser.parse_args(arguments)


def is_full(given: argparse.Namespace) -> bool:
    """Say whether everything is measured, with as many seeds as the committed results have."""
    return (given.seeds or SEEDS) >= SEEDS and given.presets is None and given.data == DATA


def measure(given: argparse.Namespace, tell: Tell) -> Report:
    """Fit everything, each in a process of its own."""
    scratch, presets = SCRATCH / "training", choose_presets(given.presets)
    processes = Processes(scratch, given.data, given.resume)
    rounds = Rounds(processes, presets, scratch / "probabilities", tell)
    peak = rounds.measure_peak("before")
    runs, others = rounds.fit_all(count_seeds(presets, given.seeds))
    augmented = rounds.measure_augmentation()
    peak = max(peak, rounds.measure_peak("after"))
    best = [run for run in runs if run.network == BEST]
    if len(best) > 1:
        runs.append(average_runs(best, rounds.probabilities))
    about = [
        describe_machine(PACKAGES),
        f"float32 matrix product at best {peak / 1e9:,.0f} GFLOP/s",
        f"TensorFlow's import {statistics.median_high(run.import_s for run in runs):.1f} s",
        f"other programs used at most {others:.0%} of the cores",
    ]
    if processes.reused:
        about.append(f"{processes.reused} measurements of an earlier start")
    frame = make_frame(runs, peak)
    tables = {**list_medians(frame), **list_seeds(frame), **list_goals(judge(frame, augmented))}
    plot = functools.partial(plot_runs, frame=frame)
    return Report("training", "Training, side by side", "; ".join(about), tables, frame, plot, CLOCK)


if __name__ == "__main__":
    sys.exit(main())
