"""`python -m benchmarks.serving`: every server in turn, round after round, then medians and a picture."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.arguments import count
from benchmarks.serving.environments import make_environments
from benchmarks.serving.goals import judge
from benchmarks.serving.load import find_wrk
from benchmarks.serving.machine import describe_machine, measure_others
from benchmarks.serving.measurements import Growth, summarise
from benchmarks.serving.networks import INCEPTION, MNIST, prepare_subjects
from benchmarks.serving.picture import plot_rows
from benchmarks.serving.report import Report
from benchmarks.serving.rounds import Rounds
from benchmarks.serving.servers import DOOR_2, INSTALLED_APART, TITLES, door_2, list_launches
from modelyard.errors import ModelyardError
from modelyard.repository import find_root
from modelyard.tracking.store import tracking_uri

SCRATCH = Path(".bench")
RESULTS = Path("benchmarks/results")
SECONDS, ROUNDS, REQUESTS = 5, 3, 200_000
MODELS = (MNIST, INCEPTION)
# Of all cores, by other programs.
MOST_OTHERS = 0.1


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; return the exit code."""
    given = make_parser().parse_args(arguments)
    began_s = time.monotonic()
    try:
        find_wrk()
        os.chdir(find_root())
        report = measure(given, began_s)
    except ModelyardError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    results = choose_results(given)
    write_report(report, results)
    print(f"\n{report.to_text()}\n\nin {results} after {time.monotonic() - began_s:.0f} s")
    return 0


def choose_results(given: argparse.Namespace) -> Path:
    """Return the folder for the outcome; a shorter run does not replace the figures of the full one."""
    if given.results is not None:
        return Path(given.results)
    long = given.seconds >= SECONDS and given.rounds >= ROUNDS and given.requests >= REQUESTS
    whole = set(given.servers) == set(TITLES) and set(given.models) == set(MODELS)
    return RESULTS if long and whole else SCRATCH / "results"


def measure(given: argparse.Namespace, began_s: float) -> Report:
    """Prepare what the servers need, measure them all, and sum it up.

    Raises:
        ModelyardError: something is missing, or a server fails or answers wrongly.
    """
    scratch = SCRATCH.resolve()
    scratch.mkdir(exist_ok=True)
    # Git leaves a folder alone that says so itself.
    (scratch / ".gitignore").write_text("*\n")
    apart = [name for name in INSTALLED_APART if name in given.servers]
    environments = make_environments(apart, scratch / "environments")
    print("preparing the trained networks", flush=True)
    subjects, registry = prepare_subjects(scratch / "networks", given.models), tracking_uri()
    launches = list_launches(given.servers, subjects, environments, registry, scratch)

    def tell(line: str) -> None:
        print(f"{time.monotonic() - began_s:5.0f} s  {line}", flush=True)

    rounds, growth, others = Rounds(given.seconds, scratch / "logs", tell), None, 0.0
    for number in range(1, given.rounds + 1):
        print(f"round {number} of {given.rounds}", flush=True)
        others = max(others, _look_for_others())
        for launch in launches:
            rounds.measure_server(launch)
        if DOOR_2 in given.servers:
            rounds.measure_readiness(door_2(subjects, registry, scratch / "copy"))
    if DOOR_2 in given.servers and MNIST in subjects:
        launch = door_2(subjects, registry, scratch / "copy")
        growth = rounds.measure_growth(launch, MNIST, given.requests)
    about = f"{describe_machine(environments)}; {given.rounds} x {given.seconds} s"
    about += f"; other programs used at most {others:.0%} of the cores"
    return sum_up(rounds, growth, {model: subject.title for model, subject in subjects.items()}, about)


def _look_for_others() -> float:
    """Measure what else the machine does, and warn of it."""
    share = measure_others()
    if share > MOST_OTHERS:
        print(
            f"warning: other programs use {share:.0%} of the cores, these figures will be too low", flush=True
        )
    return share


def sum_up(rounds: Rounds, growth: Growth | None, titles: dict[str, str], about: str) -> Report:
    """Make medians of the rounds, and compare them with what was asked."""
    rows = summarise(rounds.measurements, rounds.starts)
    if rounds.ready:
        about += f"; the doors serve {' and '.join(rounds.ready[-1].served)}"
    return Report(about, titles, rows, judge(rows, rounds.ready, growth))


def write_report(report: Report, folder: Path) -> None:
    """Write the figures as CSV, as a page and as a picture."""
    report.write_csv(folder / "serving.csv")
    plot_rows(folder / "serving.png", report.rows, report.titles)
    (folder / "serving.md").write_text(report.to_markdown("serving.png"))


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving",
        description="Measure this project's two doors beside what others use, on this machine, in one run. "
        f"The outcome of a full run goes to {RESULTS}, that of a shorter one to {SCRATCH}/results.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--seconds", type=count, default=SECONDS, metavar="N", help="of load for each figure")
    parser.add_argument("--rounds", type=count, default=ROUNDS, metavar="N", help="whose medians are told")
    requests = "after so many, door 2's memory is compared with that after a twentieth"
    parser.add_argument("--requests", type=count, default=REQUESTS, metavar="N", help=requests)
    for name, known in (("servers", list(TITLES)), ("models", list(MODELS))):
        only = f"only these {name}"
        parser.add_argument(f"--{name}", nargs="+", choices=known, default=known, metavar="NAME", help=only)
    results = "for the outcome, whatever the run (default: see above)"
    parser.add_argument("--results", type=Path, default=argparse.SUPPRESS, metavar="FOLDER", help=results)
    parser.set_defaults(results=None)
    return parser


if __name__ == "__main__":
    sys.exit(main())
