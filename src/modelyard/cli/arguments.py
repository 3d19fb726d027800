"""How a module becomes a command, and the arguments that several commands have."""

import argparse
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from modelyard.monitoring.tables.places import Place

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_command(commands: Commands, module: Any) -> None:
    """Add the command that a module is named after; its docstring is the help, its function `run` runs it."""
    head, _, description = module.__doc__.partition("\n\n")
    command = commands.add_parser(
        module.__name__.rpartition(".")[2], help=head[0].lower() + head[1:-1], description=description
    )
    module.add_arguments(command)
    command.set_defaults(run=module.run)


def add_json(command: argparse.ArgumentParser, help_: str = "print JSON") -> None:
    """Add the option to print JSON."""
    command.add_argument("--json", action="store_true", help=help_)


def add_name(command: argparse.ArgumentParser) -> None:
    """Add the name of a registered model."""
    command.add_argument("name", metavar="NAME", help="name of a registered model")


def add_tables(command: argparse.ArgumentParser) -> None:
    """Add the place of the recorded answers."""
    place = "folder or s3://bucket/prefix that `modelyard serve --record PLACE` writes (conf/monitor: tables)"
    command.add_argument("--tables", metavar="PLACE", help=place)


def open_tables(given: str | None) -> "Place":
    """Open the place of the recorded answers: the given one, else that of the repository's params.yaml."""
    from modelyard.monitoring.tables.places import open_place
    from modelyard.params import load_params
    from modelyard.repository import find_root

    return open_place(given or load_params(find_root() / "params.yaml").monitor.tables)


def add_since(command: argparse.ArgumentParser, default: str) -> None:
    """Add the length of the period to look at."""
    period = f"how far to look back: 30m, 12h, 7d (default: {default})"
    command.add_argument("--since", type=read_period, default=default, metavar="TIME", help=period)


def read_period(text: str) -> timedelta:
    """Read a length of time as `30m`, `12h` or `7d`, at most 100 years."""
    units = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
    found = re.fullmatch("([0-9]{1,7})([mhd])", text)
    length = int(found[1]) * units[found[2]] if found else timedelta()
    if not timedelta() < length <= timedelta(days=36_525):
        raise argparse.ArgumentTypeError(f"expected a time such as 30m, 12h or 7d, got {text!r}")
    return length
