"""`modelyard rollback`: go back to the champion before."""

import argparse

from modelyard.cli.arguments import Commands, add_model_command
from modelyard.cli.commands.promote import say_decision


def add_commands(commands: Commands) -> None:
    """Add `rollback`."""
    rollback = add_model_command(
        commands,
        "rollback",
        "go back to the champion before",
        "Make the previous champion champion again; a second call goes back further. A version whose "
        "artifacts are missing or changed is refused.",
    )
    rollback.add_argument("--to", metavar="VERSION", help="another version: its number or an alias")
    rollback.add_argument("--reason", default="", metavar="TEXT", help="why, for the record")
    rollback.set_defaults(run=_roll_back)


def _roll_back(given: argparse.Namespace) -> None:
    from modelyard.registry.champions.promotion import roll_back
    from modelyard.tracking.store import open_store

    say_decision(roll_back(open_store(), given.name, given.to, reason=given.reason), given)
