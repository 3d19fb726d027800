"""Arguments that several commands have."""

import argparse
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_command(commands: Commands, name: str, help_: str, description: str) -> argparse.ArgumentParser:
    """Add a command that can print JSON."""
    command = commands.add_parser(name, help=help_, description=description)
    command.add_argument("--json", action="store_true", help="print JSON")
    return command


def add_model_command(commands: Commands, name: str, help_: str, description: str) -> argparse.ArgumentParser:
    """Add a command about one registered model that can print JSON."""
    command = add_command(commands, name, help_, description)
    command.add_argument("name", metavar="NAME", help="of a registered model")
    return command
