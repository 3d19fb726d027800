"""Check that every version is whole and every bundle registered.

Check that the artifacts of every version are there, match their digest and answer, that its run is there,
that aliases point to existing versions and histories agree with them, and that the bundles of this tree are
registered. Exit code 1: something is wrong.
"""

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from modelyard.cli.arguments import add_json
from modelyard.cli.output import say, say_json

if TYPE_CHECKING:
    from modelyard.registry.verification import Finding
    from modelyard.tracking.store import Store


def add_arguments(command: argparse.ArgumentParser) -> None:
    add_json(command)


def run(given: argparse.Namespace) -> int:
    """Print what is wrong; return 1 if anything is."""
    from modelyard.tracking.store import open_store

    return tell_findings(open_store(), given.json)


def tell_findings(store: "Store", as_json: bool) -> int:
    """Verify, and print findings as they come; return 1 if there are any."""
    findings = []
    for finding in _look(store):
        findings.append(finding)
        if not as_json:
            say(f"{finding.subject}: {finding.problem}: {finding.remedy}")
    if as_json:
        say_json([asdict(finding) for finding in findings])
    elif not findings:
        say("the registry is whole, and the tree's bundles are registered")
    return int(bool(findings))


def _look(store: "Store") -> "Iterator[Finding]":
    from modelyard.registry.verification import verify_registry, verify_tree
    from modelyard.repository import find_root

    yield from verify_registry(store)
    yield from verify_tree(store, find_root() / "bundles")
