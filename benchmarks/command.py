"""What both benchmarks do: read options, keep time, warn of other programs, and write a report."""

import argparse
import datetime
import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from benchmarks.report import Report
from modelyard.errors import ModelyardError, UsageError
from modelyard.evaluation.latency import name_processor
from modelyard.inference.runtime.processors import count_processors
from modelyard.repository import find_root

SCRATCH, RESULTS = Path(".bench"), Path("benchmarks/results")
# Above this share of all cores, other programs distort the figures.
BUSY_SHARE = 0.1
# Prints a line, after the seconds since the start.
Tell = Callable[[str], None]


def count(text: str) -> int:
    """Read a number of 1 or more, as argparse's `type`."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {number}")
    return number


def start_parser(name: str, description: str) -> argparse.ArgumentParser:
    """Start the parser of `python -m benchmarks.NAME`, with the option that both benchmarks have."""
    where = f"A full run writes its results to {RESULTS}, a shorter one to {SCRATCH}/results."
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}", description=f"{description} {where}"
    )
    parser.add_argument("--results", type=Path, metavar="FOLDER", help="write the results there instead")
    return parser


def choose_results(given: argparse.Namespace, full: bool) -> Path:
    """Return the folder for the results; only a full run replaces the committed ones."""
    return given.results or (RESULTS if full else SCRATCH / "results")


def run_benchmark(
    given: argparse.Namespace, measure: Callable[[argparse.Namespace, Tell], Report], full: bool
) -> int:
    """Call `measure(given, tell)` at the repository's root, write its report, and return the exit code."""
    began_s = time.monotonic()

    def tell(line: str) -> None:
        print(f"{time.monotonic() - began_s:5.0f} s  {line}", flush=True)

    try:
        os.chdir(find_root())
        SCRATCH.mkdir(exist_ok=True)
        # Git ignores a folder that says so itself.
        (SCRATCH / ".gitignore").write_text("*\n")
        report = measure(given, tell)
    except ModelyardError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        hint = "; --resume continues from what was measured" if "resume" in given else ""
        print(f"bench: interrupted{hint}", file=sys.stderr)
        return 130
    results = choose_results(given, full)
    report.write(results)
    print(f"\n{report.to_text()}\n\nin {results} after {time.monotonic() - began_s:.0f} s")
    return 0


def measure_other_programs(tell: Tell) -> float:
    """Return the share of all cores, 0..1, that is in use before a round; warn where it is high."""
    share = float(psutil.cpu_percent(1.0)) / 100
    if share > BUSY_SHARE:
        tell(f"warning: other programs use {share:.0%} of the cores; these figures will be too low")
    return share


def read_end(log: Path) -> str:
    """Return the last lines of a log, with its name, for an error."""
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    return f"the end of {log}:\n{tail}"


def describe_machine(packages: Sequence[str]) -> str:
    """Return date, processor, memory, and the versions of Python and of `packages`."""
    versions = [f"Python {platform.python_version()}"]
    versions += [f"{name} {importlib.metadata.version(name)}" for name in packages]
    memory = f"{psutil.virtual_memory().total / 2**30:.0f} GiB"
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    return f"{today}; {count_processors()} cores of {name_processor()}, {memory}; {', '.join(versions)}"
