"""`python -m benchmarks.recording`: several services, asked in turn, then counted."""

import argparse
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

from benchmarks import command
from benchmarks.command import SCRATCH, Tell
from benchmarks.recording.blocks import open_askers
from benchmarks.recording.counting import IMAGE, Told, count_rows, read_metrics
from benchmarks.recording.modes import (
    ON,
    PICTURES,
    SHADOW,
    find_versions,
    launch_modes,
    read_files,
)
from benchmarks.recording.summary import judge, list_counts, list_loads, summarise
from benchmarks.report import Report, list_goals
from benchmarks.serving.load import Load, find_wrk, put_load, write_bodies
from benchmarks.serving.processes import HOST, Running, start
from benchmarks.serving.questions import MNIST
from modelyard.tracking.address import tracking_uri

ROUNDS, BLOCK, REQUESTS = 400, 96, 200_000
CONNECTIONS, MANY, WARM_UP_S, PIECE_S = (1, 8), 8, 1, 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; return the exit code."""
    given = read_options(arguments)
    return command.run_benchmark(given, measure, is_full(given))


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = command.start_parser("recording", "Measure what a record of the answers costs, in one run.")
    for name, default, about in (
        ("rounds", ROUNDS, f"of a block of {BLOCK} requests to each service"),
        ("requests", REQUESTS, "that are counted with a record"),
    ):
        told = f"{about} (default: %(default)s)"
        parser.add_argument(f"--{name}", type=command.count, default=default, metavar="N", help=told)
    return parser.parse_args(arguments)


def is_full(given: argparse.Namespace) -> bool:
    """Say whether it is measured for as long as the committed results were."""
    return bool(given.rounds >= ROUNDS and given.requests >= REQUESTS)


def measure(given: argparse.Namespace, tell: Tell) -> Report:
    """Start the services, load them in turn, and count what they recorded."""
    find_wrk()
    registry, scratch = tracking_uri(), (SCRATCH / "recording").absolute()
    versions = find_versions(registry)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    bodies, launches = scratch / "digits", launch_modes(registry, scratch)
    files = read_files()
    write_bodies(bodies, files)
    records: list[dict[str, Any]] = []
    with ExitStack() as stack:
        services = {
            mode: stack.enter_context(start(launch, SCRATCH / "logs")) for mode, launch in launches.items()
        }
        for running in services.values():
            running.await_answers()
            _put_load(running, MANY, WARM_UP_S, bodies)
        others = command.measure_other_programs(tell)
        for connections in CONNECTIONS:
            records += _ask_in_turn(services, connections, given.rounds, files, tell)
        while read_metrics(services[ON]).answered < given.requests:
            _put_load(services[ON], MANY, PIECE_S, bodies)
        told = {mode: _ask_at_last(running) for mode, running in services.items()}
        peak_mb = {mode: running.measure_peak_mb() for mode, running in services.items()}
    counts = [
        count
        for mode in (ON, PICTURES, SHADOW)
        for count in count_rows(mode, told[mode], scratch / mode / "place", mode == SHADOW)
    ]
    frame = summarise(records, peak_mb)
    about = [command.describe_machine(("pyarrow", "ai-edge-litert")), versions]
    about += [f"{given.rounds} blocks of {BLOCK} requests to each service, in turn"]
    about += [f"other programs used {others:.0%} of the cores before"]
    kept = f"{told[PICTURES].kept:,} pictures kept, {told[PICTURES].dropped[IMAGE]:,} dropped"
    tables = {"Loads": list_loads(frame), f"Rows ({kept})": list_counts(counts)}
    tables |= list_goals(judge(frame, counts))
    shutil.rmtree(scratch)
    return Report("recording", "What a record costs", "; ".join(about), tables, frame)


def _ask_in_turn(
    services: dict[str, Running], connections: int, rounds: int, files: Sequence[bytes], tell: Tell
) -> list[dict[str, Any]]:
    """Ask each service about the same block of files in turn."""
    modes, records = list(services), []
    question = services[ON].launch.questions[MNIST]
    tell(f"{rounds} rounds over {connections} connection{'s' * (connections > 1)}")
    random = Random(0)  # noqa: S311  # an order, not a secret
    with open_askers(services, question, connections) as askers:
        for number in range(rounds):
            block = [files[(number * BLOCK + place) % len(files)] for place in range(BLOCK)]
            # At random: what a service has yet to record falls into the block of another one.
            for mode in random.sample(modes, len(modes)):
                load = askers[mode].ask(block)
                records.append({"mode": mode, "connections": connections, "round": number, **asdict(load)})
    return records


def _put_load(running: Running, connections: int, seconds: int, bodies: Path) -> Load:
    """Put a load on a service, and wait until it has recorded it."""
    question = running.launch.questions[MNIST]
    load = put_load(f"http://{HOST}:{running.port}", question, connections, seconds, bodies)
    running.await_idleness()
    return load


def _ask_at_last(running: Running) -> Told:
    running.ask(running.launch.questions[MNIST])
    running.await_idleness()
    return read_metrics(running)


if __name__ == "__main__":
    sys.exit(main())
