"""`python -m benchmarks.training`: the textbook script and all presets, seed after seed, then medians."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.arguments import count
from benchmarks.serving.machine import describe_machine
from benchmarks.training.ensembles import average_runs
from benchmarks.training.goals import judge
from benchmarks.training.outcome import DATA
from benchmarks.training.picture import plot_rows
from benchmarks.training.presets import choose_presets
from benchmarks.training.processes import PACKAGES, Processes
from benchmarks.training.report import Report
from benchmarks.training.rounds import (
    BEST,
    FEWER_SEEDS,
    SEEDS,
    Tell,
    count_seeds,
    fit_all,
    measure_best_augmentation,
    measure_peak,
)
from benchmarks.training.summary import summarise
from modelyard.errors import ModelyardError, UsageError
from modelyard.repository import find_root

SCRATCH = Path(".bench")
RESULTS = Path("benchmarks/results")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; return the exit code."""
    given = make_parser().parse_args(arguments)
    began_s = time.monotonic()

    def tell(line: str) -> None:
        print(f"{time.monotonic() - began_s:5.0f} s  {line}", flush=True)

    try:
        os.chdir(find_root())
        report = measure(given, tell)
    except ModelyardError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        print("bench: interrupted; --resume goes on from what was measured", file=sys.stderr)
        return 130
    results = choose_results(given)
    write_report(report, results)
    print(f"\n{report.to_text()}\n\nin {results} after {time.monotonic() - began_s:.0f} s")
    return 0


def choose_results(given: argparse.Namespace) -> Path:
    """Return the folder for the outcome; a shorter run does not replace the figures of the full one."""
    if given.results is not None:
        return Path(given.results)
    long = given.seeds is None or given.seeds >= SEEDS
    return RESULTS if long and given.presets is None and given.data == DATA else SCRATCH / "results"


def measure(given: argparse.Namespace, tell: Tell) -> Report:
    """Fit everything, each in a process of its own, and sum it up.

    Raises:
        ModelyardError: an unknown preset, data that is missing, or a process that fails.
    """
    presets = choose_presets(given.presets)
    SCRATCH.mkdir(exist_ok=True)
    # Git leaves a folder alone that says so itself.
    (SCRATCH / ".gitignore").write_text("*\n")
    processes = Processes(SCRATCH / "training", given.data, given.resume)
    peak = measure_peak(processes, "before", tell)
    runs, others = fit_all(processes, presets, count_seeds(presets, given.seeds), tell)
    augmented = measure_best_augmentation(processes, presets, tell)
    peak = max(peak, measure_peak(processes, "after", tell))
    best = [run for run in runs if run.name == BEST]
    if len(best) > 1:
        runs.append(average_runs(best, processes.probabilities))
    rows = summarise(runs)
    about = [
        describe_machine({}, PACKAGES),
        f"float32 matrix product at best {peak / 1e9:,.0f} GFLOP/s",
        f"TensorFlow's import {sorted(run.import_s for run in runs)[len(runs) // 2]:.1f} s",
        f"other programs used at most {others:.0%} of the cores",
    ]
    if processes.reused:
        about.append(f"{processes.reused} measurements of an earlier start")
    return Report("; ".join(about), rows, peak, judge(rows, peak, augmented))


def write_report(report: Report, folder: Path) -> None:
    """Write the figures as CSV, as a page and as a picture."""
    report.write_csv(folder / "training.csv")
    plot_rows(folder / "training.png", report.rows)
    (folder / "training.md").write_text(report.to_markdown("training.png"))


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training",
        description="Fit every preset beside the textbook script, on this machine, in one run. "
        f"The outcome of a full run goes to {RESULTS}, that of a shorter one to {SCRATCH}/results.",
    )
    few = " and ".join(f"{count} of {name}" for name, count in FEWER_SEEDS.items())
    seeds = f"of every network, from 0 (default: {SEEDS}, but {few})"
    parser.add_argument("--seeds", type=count, metavar="N", help=seeds)
    presets = "only these files of conf/model (default: all, an ensemble out of its members' runs)"
    parser.add_argument("--presets", nargs="+", metavar="NAME", help=presets)
    parser.add_argument(
        "--data", type=Path, default=DATA, metavar="FOLDER", help=f"with the pictures (default: {DATA})"
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help=f"take what an earlier start measured of the same settings, code and data ({SCRATCH}/training)",
    )
    results = "for the outcome, whatever the run (default: see above)"
    parser.add_argument("--results", type=Path, metavar="FOLDER", help=results)
    return parser


if __name__ == "__main__":
    sys.exit(main())
