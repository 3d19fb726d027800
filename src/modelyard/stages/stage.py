"""How a stage starts and ends: its paths, its parameters, and its one-line message on failure."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from modelyard.failures import explain
from modelyard.params import Params, load_params

Stage = Callable[[argparse.Namespace, Params], None]


def run_stage(stage: Stage, *paths: str) -> None:
    """Call `stage(arguments, params)` for the command line `--NAME PATH ...`, and exit.

    Exits with 1 and a line on stderr after a failure that people can fix (see `failures.explain`), with 130
    after Ctrl-C. Any other error is a bug and keeps its traceback.
    """
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    for name in paths:
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="PATH")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), metavar="PATH")
    arguments = parser.parse_args()
    try:
        stage(arguments, load_params(arguments.params))
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        line = explain(error)
        if line is None:
            raise
        sys.exit(f"{stage.__name__}: {line}")
