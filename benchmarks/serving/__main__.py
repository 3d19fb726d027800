"""`python -m benchmarks.serving`: measure every server in turn, round after round."""

import argparse
import functools
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks import command
from benchmarks.command import SCRATCH, Tell
from benchmarks.report import Report, list_goals
from benchmarks.serving import servers
from benchmarks.serving.goals import judge
from benchmarks.serving.load import find_wrk
from benchmarks.serving.networks import prepare_subjects
from benchmarks.serving.picture import plot_rows
from benchmarks.serving.questions import INCEPTION, MNIST
from benchmarks.serving.rounds import Rounds
from benchmarks.serving.servers import MODELYARD, TITLES
from benchmarks.serving.summary import list_rates, summarise
from modelyard.tracking.address import tracking_uri

SECONDS, ROUNDS, REQUESTS = 5, 3, 200_000
MODELS = (MNIST, INCEPTION)
PACKAGES = ("tensorflow", "keras", "mlflow", "fastapi", "uvicorn", "ai-edge-litert")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; return the exit code."""
    given = read_options(arguments)
    return command.run_benchmark(given, measure, is_full(given))


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = command.start_parser("serving", "Measure this project's servers beside others, in one run.")
    number: dict[str, Any] = {"type": command.count, "metavar": "N"}
    growth = "that modelyard serve answers while its memory is watched (default: %(default)s)"
    parser.add_argument("--seconds", default=SECONDS, help="of each load (default: %(default)s)", **number)
    parser.add_argument(
        "--rounds", default=ROUNDS, help="to take medians of (default: %(default)s)", **number
    )
    parser.add_argument("--requests", default=REQUESTS, help=growth, **number)
    for name, known in (("servers", list(TITLES)), ("models", list(MODELS))):
        about = f"only these {name}, of {', '.join(known)}"
        parser.add_argument(f"--{name}", nargs="+", choices=known, default=known, metavar="NAME", help=about)
    return parser.parse_args(arguments)


def is_full(given: argparse.Namespace) -> bool:
    """Say whether everything is measured, for as long as the committed results were."""
    long = given.seconds >= SECONDS and given.rounds >= ROUNDS and given.requests >= REQUESTS
    return long and set(given.servers) == set(TITLES) and set(given.models) == set(MODELS)


def measure(given: argparse.Namespace, tell: Tell) -> Report:
    """Prepare what the servers need, and measure them all."""
    find_wrk()
    scratch = SCRATCH.resolve()
    apart = [name for name in servers.INSTALLED_APART if name in given.servers]
    environments = {name: servers.make_environment(name, scratch / "environments") for name in apart}
    tell("preparing the trained networks")
    subjects, registry = prepare_subjects(scratch / "networks", given.models), tracking_uri()
    launches = servers.list_launches(given.servers, subjects, environments, registry)
    modelyard = servers.launch_modelyard(subjects, registry, scratch / "copy")
    rounds, growth, others = Rounds(given.seconds, scratch / "logs", tell), None, 0.0
    ours = [modelyard] if MODELYARD in given.servers else []
    for number in range(1, given.rounds + 1):
        tell(f"round {number} of {given.rounds}")
        others = max(others, command.measure_other_programs(tell))
        for launch in [*launches, *ours]:
            rounds.measure_server(launch)
        for launch in ours:
            rounds.measure_readiness(launch)
    if ours and MNIST in subjects:
        growth = rounds.measure_growth(modelyard, MNIST, given.requests)
    about = [", ".join([command.describe_machine(PACKAGES), *map(servers.read_version, apart)])]
    about += [f"{given.rounds} x {given.seconds} s", f"other programs used at most {others:.0%} of the cores"]
    about += [f"versions served: {ready.served}" for ready in rounds.ready[-1:]]
    frame = summarise(rounds.records)
    titles = {model: subject.title for model, subject in subjects.items()}
    tables = list_rates(frame, titles) | list_goals(judge(frame, rounds.ready, growth))
    plot = functools.partial(plot_rows, frame=frame, titles=titles)
    return Report("serving", "Serving, side by side", "; ".join(about), tables, frame, plot)


if __name__ == "__main__":
    sys.exit(main())
