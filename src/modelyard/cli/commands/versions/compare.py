"""Compare versions of a model.

Compare two or more versions of a model, the first with each of the others: metrics with 95 % intervals,
McNemar's exact test on the same test images, size, latency, and the parameters, data and commits that differ.
"""

import argparse
import shutil
from pathlib import Path

from modelyard.cli.arguments import add_json, add_name
from modelyard.cli.output import say, say_json, write_html


def add_arguments(command: argparse.ArgumentParser) -> None:
    add_name(command)
    command.add_argument("first", metavar="A", help="number, alias, or run id of a version")
    command.add_argument("others", metavar="B", nargs="+", help="likewise")
    add_json(command, "print JSON, with every metric and every image: a list if there is more than one B")
    page = "write a page with the confusion matrices and the images on which they disagree"
    command.add_argument("--html", type=Path, metavar="FILE", help=page)


def run(given: argparse.Namespace) -> None:
    """Print the comparison."""
    from modelyard.registry.comparison.comparison import compare
    from modelyard.registry.comparison.page import draw_page
    from modelyard.registry.comparison.splits import find_test_split
    from modelyard.registry.comparison.table import draw_table
    from modelyard.registry.evidence import read_evidence
    from modelyard.registry.versions import find_version
    from modelyard.tracking.store import open_store

    store = open_store()
    versions = [find_version(store.client, given.name, one) for one in (given.first, *given.others)]
    first, *others = (read_evidence(store, version) for version in versions)
    comparisons = [compare(store, first, other) for other in others]
    if given.html:
        write_html(given.html, draw_page(comparisons, find_test_split(first.dataset_digest)))
    if given.json:
        found = [one.to_json() for one in comparisons]
        say_json(found if len(found) > 1 else found[0], indent=2)
    else:
        for line in draw_table(comparisons, shutil.get_terminal_size().columns).split("\n"):
            say(line)
