"""How a measurement's process starts and ends: its options, and one line of JSON on stdout."""

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from benchmarks.training.outcome import DATA
from modelyard.errors import ModelyardError, UsageError

Measure = Callable[[argparse.Namespace], dict[str, Any]]


def run_measurement(measure: Measure, *needed: str) -> None:
    """Call `measure(options)`, print what it returns, and exit; all else that is printed goes to stderr.

    Args:
        measure: gets `data` and `keep` beside the options that are needed.
        needed: of `preset` and `seed`, what the command line must give.

    Exits with 1 and one line on stderr after a `ModelyardError`, with 2 where the call must change.
    """
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    if "preset" in needed:
        parser.add_argument("--preset", required=True, metavar="NAME", help="a file of conf/model")
    if "seed" in needed:
        parser.add_argument("--seed", type=int, required=True, metavar="N")
    parser.add_argument("--data", type=Path, default=DATA, metavar="FOLDER", help=f"default: {DATA}")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for the probabilities; default: nowhere")
    given = parser.parse_args()
    try:
        with redirect_stdout(sys.stderr):
            measured = measure(given)
    except ModelyardError as error:
        print(error, file=sys.stderr)
        sys.exit(2 if isinstance(error, UsageError) else 1)
    print(json.dumps(measured))
