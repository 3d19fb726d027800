"""Set two versions of a model side by side.

Set two versions of a model side by side: metrics with 95 % intervals, McNemar's exact test on the same test
images, size, latency, and the parameters, data and commits that differ.
"""

import argparse
import shutil
from pathlib import Path

from modelyard.cli.arguments import add_json, add_name
from modelyard.cli.output import say, say_json
from modelyard.errors import ModelyardError


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_name(command)
    for place, letter in (("first", "A"), ("second", "B")):
        command.add_argument(place, metavar=letter, help="number, alias, or run id of a version")
    add_json(command, "print JSON, with every metric and every image")
    page = "write a page with both confusion matrices and the images on which they disagree"
    command.add_argument("--html", type=Path, metavar="FILE", help=page)


def run(given: argparse.Namespace) -> None:
    """Print the comparison."""
    from modelyard.registry.comparison.comparison import compare
    from modelyard.registry.comparison.page import write_page
    from modelyard.registry.comparison.table import draw_table
    from modelyard.registry.comparison.test_split import find_test_split
    from modelyard.registry.evidence import read_evidence
    from modelyard.registry.versions import find_version
    from modelyard.tracking.store import open_store

    store = open_store()
    versions = [find_version(store.client, given.name, one) for one in (given.first, given.second)]
    comparison = compare(store, *[read_evidence(store, version) for version in versions])
    if given.html:
        try:
            write_page(given.html, comparison, find_test_split(comparison.first.dataset_digest))
        except OSError as error:
            raise ModelyardError(f"--html {given.html}: expected a file to write: {error.strerror}") from None
    if given.json:
        say_json(comparison.to_json(), indent=2)
    else:
        for line in draw_table(comparison, shutil.get_terminal_size().columns).split("\n"):
            say(line)
