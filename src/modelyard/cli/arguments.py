"""How a module becomes a command, and the arguments that several commands have."""

import argparse
from typing import Any, TypeAlias

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
    command.add_argument("name", metavar="NAME", help="of a registered model")
