"""Manage the tables of recorded answers.

`prune` removes what is older than you want to keep: answers and labels by their days, pictures by the time
they were last written.
"""

import argparse
from datetime import UTC, datetime

from modelyard.cli.arguments import add_json, add_tables, open_tables, read_period
from modelyard.cli.output import say, say_json


def add_arguments(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(required=True, metavar="ACTION")
    prune = actions.add_parser("prune", help="remove old parts and pictures", description=__doc__)
    add_json(prune)
    add_tables(prune)
    age = "such as 90d; answers and labels are removed by whole days (UTC)"
    prune.add_argument("--older-than", type=read_period, required=True, metavar="TIME", help=age)
    prune.add_argument("--dry-run", action="store_true", help="only say what would be removed")


def run(given: argparse.Namespace) -> None:
    """Remove old files, or say how many there are."""
    from modelyard.monitoring.tables.pruning import find_old, remove_files

    place = open_tables(given.tables)
    files = find_old(place, datetime.now(UTC) - given.older_than)
    size = sum(file.size for file in files)
    if not given.dry_run:
        remove_files(place, files)
    if given.json:
        say_json({"files": len(files), "bytes": size, "removed": not given.dry_run})
        return
    done = "to remove" if given.dry_run else "removed"
    say(f"{place.name}: {done}: {len(files):,} files, {size / 1e6:,.1f} MB")
