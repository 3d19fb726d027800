"""`modelyard verify`: is the registry whole?"""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from modelyard.cli.arguments import Commands, add_command
from modelyard.cli.output import say, say_json

if TYPE_CHECKING:
    from modelyard.registry.verification import Finding
    from modelyard.tracking.store import Store


def add_commands(commands: Commands) -> None:
    """Add `verify`."""
    verify = add_command(
        commands,
        "verify",
        "check that every version is whole and every bundle registered",
        "Check that the artifacts of every version are there, match their digest and answer, that its run is "
        "there, that aliases point to existing versions and histories agree with them, and that the bundles "
        "of this tree are registered. Exit code 1: something is wrong.",
    )
    verify.set_defaults(run=_verify)


def _verify(given: argparse.Namespace) -> int:
    from modelyard.tracking.store import open_store

    return tell_findings(open_store(), given.json)


def tell_findings(store: "Store", as_json: bool) -> int:
    """Verify, and print findings as they come; return 1 where there are any."""
    findings = _look(store)
    if as_json:
        found = [finding.to_plain() for finding in findings]
        say_json(found)
        return int(bool(found))
    count = 0
    for count, finding in enumerate(findings, 1):  # noqa: B007  # the last one is the number of all
        say(f"{finding.subject}: {finding.problem}: {finding.remedy}")
    if not count:
        say("the registry is whole, and the tree's bundles are registered")
    return int(count > 0)


def _look(store: "Store") -> "Iterator[Finding]":
    from modelyard.registry.verification import verify_registry, verify_tree
    from modelyard.repository import find_root

    yield from verify_registry(store)
    yield from verify_tree(store, find_root() / "bundles")
