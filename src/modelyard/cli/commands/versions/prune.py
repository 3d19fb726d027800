"""Remove versions that nobody needs.

List the versions that no alias points to, that are older than the limit in conf/registry, and that were
not among the last champions; or those that a failed registration left behind. Nothing is removed without
--delete.
"""

import argparse
from contextlib import nullcontext
from typing import TYPE_CHECKING

from modelyard.cli.arguments import add_json, add_name
from modelyard.cli.output import say, say_json
from modelyard.tracking.mlflow_types import ModelVersion

if TYPE_CHECKING:
    from modelyard.tracking.store import Store

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
    from modelyard.registry.pruning import prune_version
    from modelyard.registry.publishing.registration import publishing
    from modelyard.tracking.store import open_store

    store = open_store()
    # A version that is being published now is unfinished too.
    with publishing(PUBLISHING_TIMEOUT_S) if given.delete else nullcontext():
        versions = _find_removable(store, given)
        for version in versions if given.delete else ():
            prune_version(store, version)
    numbers = [int(version.version) for version in versions]
    if given.json:
        say_json({"versions": numbers, "deleted": given.delete})
        return
    done = "removed" if given.delete else "to remove with --delete"
    listed = ", ".join(map(str, numbers)) or "none"
    say(f"{given.name}: versions {done}: {listed}")


def _find_removable(store: "Store", given: argparse.Namespace) -> list[ModelVersion]:
    from modelyard.params import load_params
    from modelyard.registry.pruning import find_prunable, find_unfinished
    from modelyard.repository import find_root

    if given.unfinished:
        return find_unfinished(store, given.name)
    return find_prunable(store, given.name, load_params(find_root() / "params.yaml").registry.prune)
