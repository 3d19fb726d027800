"""The command line: its commands, and how their errors are reported."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

from modelyard.cli.arguments import add_command
from modelyard.cli.commands import predict, relocate, serve, sweep
from modelyard.cli.commands.live import collect, label, monitor, tables
from modelyard.cli.commands.versions import compare, history, promote, prune, reconcile, rollback, verify
from modelyard.cli.output import say
from modelyard.errors import UsageError
from modelyard.failures import explain

# In the order of the help.
MODULES = (
    compare,
    promote,
    rollback,
    history,
    verify,
    reconcile,
    prune,
    relocate,
    serve,
    predict,
    monitor,
    label,
    collect,
    tables,
    sweep,
)
# As a shell counts it: 128 and the number of SIGPIPE.
BROKEN_PIPE = 141


class _ShowVersion(argparse.Action):
    """Looks up the version only on request: that takes as long as the rest of a start."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        print(f"modelyard {version('modelyard')}")
        parser.exit()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit code: 0, 1 for a refusal or a failure, 2 for a wrong call.

    An error that the user can fix is one line on stderr; any other is a bug and keeps its traceback.
    """
    parser = make_parser()
    given = parser.parse_args(arguments)
    _refuse_broken_text(parser, given)
    try:
        return int(given.run(given) or 0)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough; Python must not flush the rest at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except Exception as error:
        line = explain(error)
        if line is None:
            raise
        for part in f"modelyard: {line}".split("\n"):
            say(part, error=True)
        return 2 if isinstance(error, UsageError) else 1


def _refuse_broken_text(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """Refuse bytes that are not UTF-8 in any argument except a file's path."""
    for value in vars(given).values():
        for word in value if isinstance(value, list) else [value]:
            # Python decodes each byte that is not UTF-8 as half of a surrogate pair.
            if isinstance(word, str) and re.search("[\ud800-\udfff]", word):
                parser.error(f"expected text in UTF-8, got {word!r}")


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of all commands."""
    parser = argparse.ArgumentParser(prog="modelyard", description="Image models, from data to answers.")
    parser.add_argument("-V", "--version", action=_ShowVersion, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in MODULES:
        add_command(commands, module)
    return parser
