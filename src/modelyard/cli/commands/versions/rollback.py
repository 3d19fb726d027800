"""Go back to the previous champion.

Make the previous champion champion again; a second call goes back further. A version whose artifacts are
missing or changed is refused.
"""

import argparse

from modelyard.cli.arguments import add_json, add_name
from modelyard.cli.commands.versions.promote import say_decision


def add_arguments(command: argparse.ArgumentParser) -> None:
    add_json(command)
    add_name(command)
    command.add_argument("--to", metavar="VERSION", help="another version: its number or an alias")
    command.add_argument("--reason", default="", metavar="TEXT", help="why, for the record")


def run(given: argparse.Namespace) -> None:
    """Go back, and print the decision."""
    from modelyard.registry.champions.promotion import roll_back
    from modelyard.tracking.store import open_store

    say_decision(roll_back(open_store(), given.name, given.to, reason=given.reason), given)
