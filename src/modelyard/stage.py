"""How a stage starts and ends: its paths, its parameters, and the one line it leaves when it cannot go on."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from modelyard.failures import explain
from modelyard.params import Params, load_params

Stage = Callable[[argparse.Namespace, Params], None]


def run_stage(stage: Stage, *paths: str, **choices: tuple[str, ...]) -> None:
    """Call `stage(arguments, params)` for the command line `--NAME PATH ...`, and exit.

    Args:
        stage: what the stage does; it gets a namespace with a value for every name, and all parameters.
        paths: the names of the paths that dvc.yaml gives to this stage.
        choices: further names, each with the words that dvc.yaml may give to it.

    Exits with 1 and one message on stderr after what a person can mend (see `failures.explain`), with 130
    after Ctrl-C. Any other error is a bug and keeps its traceback.
    """
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    for name in paths:
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="PATH")
    for name, words in choices.items():
        parser.add_argument(f"--{name}", choices=words, required=True)
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
