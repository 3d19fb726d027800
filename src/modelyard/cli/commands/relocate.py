"""`modelyard relocate`: let the registry follow a folder that was moved."""

import argparse

from modelyard.cli.arguments import Commands, add_command
from modelyard.cli.output import say, say_json


def add_commands(commands: Commands) -> None:
    """Add `relocate`."""
    relocate = add_command(
        commands,
        "relocate",
        "let the registry follow a folder that was moved",
        "Write the new place of the artifacts into the database, which names them by absolute addresses. "
        "Needed once after the folder was moved or copied; `verify` says when.",
    )
    relocate.set_defaults(run=_relocate)


def _relocate(given: argparse.Namespace) -> None:
    from modelyard.tracking.address import tracking_uri
    from modelyard.tracking.relocation import relocate

    count = relocate(tracking_uri())
    if given.json:
        say_json({"locations": count})
    else:
        say(f"locations that were changed: {count}")
