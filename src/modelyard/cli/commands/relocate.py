"""Update the registry after its folder was moved.

Write the new place of the artifacts into the database, which holds absolute addresses. This is needed once
after the folder was moved or copied; `verify` says when.
"""

import argparse

from modelyard.cli.arguments import add_json
from modelyard.cli.output import say, say_json


def add_arguments(command: argparse.ArgumentParser) -> None:
    add_json(command)


def run(given: argparse.Namespace) -> None:
    """Rewrite the addresses, and print how many changed."""
    from modelyard.tracking.address import tracking_uri
    from modelyard.tracking.relocation import relocate

    count = relocate(tracking_uri())
    if given.json:
        say_json({"locations": count})
    else:
        say(f"locations changed: {count}")
