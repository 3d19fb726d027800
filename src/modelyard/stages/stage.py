"""How a stage starts and ends: its paths, its parameters, and its one-line message on failure."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from modelyard.failures import explain
from modelyard.params import Params, load_params

Stage = Callable[[argparse.Namespace, Params], None]


def run_stage(stage: Stage, *paths: str) -> None:
    """Call `stage(arguments, params)` for the command line `--NAME PATH ...`, and exit; see `run_script`."""

    def run(arguments: argparse.Namespace) -> None:
        stage(arguments, load_params(arguments.params))

    run_script(stage.__name__, run, *paths, params="params.yaml")


def run_script(name: str, script: Callable[[argparse.Namespace], None], *paths: str, **defaults: str) -> None:
    """Call `script(arguments)` for the command line `--NAME PATH ...`, and exit.

    Exits with 1 and a line on stderr after a failure that people can fix (see `failures.explain`), with 130
    after Ctrl-C. Any other error is a bug and keeps its traceback.
    """
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    for path in paths:
        parser.add_argument(f"--{path}", type=Path, required=True, metavar="PATH")
    for path, default in defaults.items():
        parser.add_argument(f"--{path}", type=Path, default=Path(default), metavar="PATH")
    arguments = parser.parse_args()
    try:
        script(arguments)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        line = explain(error)
        if line is None:
            raise
        sys.exit(f"{name}: {line}")
