"""Remove versions that nobody needs.

List the versions that no alias points to, that are older than the limit in conf/registry, and that were
not among the last champions; or those that a failed registration left behind. Nothing is removed without
--delete.
"""

import argparse
from contextlib import nullcontext

from modelyard.cli.arguments import add_json, add_name
from modelyard.cli.output import say, say_json

PUBLISHING_TIMEOUT_S = 10.0


def add_arguments(command: argparse.ArgumentParser) -> None:
    add_json(command)
    add_name(command)
    command.add_argument(
        "--unfinished",
        action="store_true",
        help="list versions whose publication was interrupted instead, even recent ones; never the champion",
    )
    command.add_argument("--delete", action="store_true", help="remove them")


def run(given: argparse.Namespace) -> None:
    """List or remove versions."""
    from modelyard.params import load_params
    from modelyard.registry.pruning import find_prunable, find_unfinished, prune_version
    from modelyard.registry.publishing.registration import publishing
    from modelyard.repository import find_root
    from modelyard.tracking.store import open_store

    store = open_store()
    # A version that is being published now is unfinished too.
    with publishing(PUBLISHING_TIMEOUT_S) if given.delete else nullcontext():
        if given.unfinished:
            versions = find_unfinished(store, given.name)
        else:
            versions = find_prunable(
                store, given.name, load_params(find_root() / "params.yaml").registry.prune
            )
        for version in versions if given.delete else ():
            prune_version(store, version)
    numbers = [int(version.version) for version in versions]
    if given.json:
        say_json({"versions": numbers, "deleted": given.delete})
        return
    done = "removed" if given.delete else "to remove with --delete"
    listed = ", ".join(map(str, numbers)) or "none"
    say(f"{given.name}: versions {done}: {listed}")
