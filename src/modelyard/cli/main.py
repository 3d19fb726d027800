"""The command line as a whole: its commands, and what becomes of their errors."""

import argparse
import sys
from collections.abc import Sequence

from modelyard.cli import audit, compare, decide, serve, sweep
from modelyard.errors import UsageError
from modelyard.failures import explain

# Each adds its commands to the parser, with the function that runs them as the default of `run`.
GROUPS = (compare, decide, audit, serve, sweep)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0, 1 for a refusal or a failure, 2 for a wrong call.

    What a person can mend is one line on stderr; any other error is a bug and keeps its traceback.
    """
    given = make_parser().parse_args(arguments)
    try:
        return int(given.run(given) or 0)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        line = explain(error)
        if line is None:
            raise
        print(f"modelyard: {line}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of all commands."""
    parser = argparse.ArgumentParser(prog="modelyard", description="Image models, from data to answers.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for group in GROUPS:
        group.add_commands(commands)
    return parser
