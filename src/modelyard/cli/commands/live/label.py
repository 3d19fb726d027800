"""Add labels to recorded answers, from a CSV file.

Write the labels of a CSV file beside the recorded answers. Its columns are `label` with `sha256` (of the
picture's file), or with `request_id` (and `index`, for a batch). If one answer has several labels,
the last counts. All lines are written, or none.
"""

import argparse
from pathlib import Path

from modelyard.cli.arguments import add_name, add_tables, open_tables
from modelyard.cli.output import say


def add_arguments(command: argparse.ArgumentParser) -> None:
    add_name(command)
    command.add_argument("file", type=Path, metavar="FILE", help="a CSV file with a header, in UTF-8")
    add_tables(command)


def run(given: argparse.Namespace) -> None:
    """Write the labels."""
    from modelyard.monitoring.labels.labelling import label_from_file
    from modelyard.registry.artifacts import fetch_bundle
    from modelyard.registry.versions import find_version
    from modelyard.tracking.store import open_store

    place, store = open_tables(given.tables), open_store()
    bundle = fetch_bundle(store, find_version(store.client, given.name, "latest"))
    labels = [label.name for label in bundle.labels if label.name is not None]
    count = label_from_file(place, given.name, given.file, labels)
    say(f"{given.name}: {count:,} labels written to {place.name}")
