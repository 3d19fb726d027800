"""Make a version champion, if the gate lets it through.

Check a version against every rule of the model's gate in conf/, and make it champion if all hold. The
decision is recorded either way. Exit code 1: a rule does not hold, and nothing has moved.
"""

import argparse
from typing import TYPE_CHECKING

from modelyard.cli.arguments import add_json, add_name
from modelyard.cli.output import say, say_json

if TYPE_CHECKING:
    from modelyard.registry.champions.decisions import Decision


def add_arguments(command: argparse.ArgumentParser) -> None:
    add_json(command)
    add_name(command)
    command.add_argument("version", metavar="VERSION", help="its number or an alias")
    command.add_argument(
        "--force", action="store_true", help="promote it even if rules fail, except for the rule bundle"
    )
    command.add_argument("--reason", default="", metavar="TEXT", help="why, for the record")


def run(given: argparse.Namespace) -> None:
    """Promote a version, and print the decision."""
    from modelyard.params import load_params
    from modelyard.params.catalogue import find_gate
    from modelyard.registry.champions.promotion import RefusedError, promote
    from modelyard.registry.versions import find_version
    from modelyard.repository import find_root
    from modelyard.tracking.store import open_store

    store, root = open_store(), find_root()
    # What is not registered needs no gate.
    find_version(store.client, given.name, given.version)
    gate = find_gate(given.name, load_params(root / "params.yaml"), root / "conf")
    try:
        decision = promote(store, given.name, given.version, gate, reason=given.reason, force=given.force)
    except RefusedError as refused:
        say_decision(refused.decision, given)
        raise
    say_decision(decision, given)


def say_decision(decision: "Decision | None", given: argparse.Namespace) -> None:
    """Print what was decided; None stands for nothing to decide."""
    if given.json:
        say_json(decision and decision.to_plain())
    elif decision is None:
        say(f"{given.name}: version {given.version} is already champion")
    else:
        for rule in decision.rules:
            say(f"{'pass' if rule.passed else 'FAIL'}  {rule.rule:<26}{rule.found}")
            if rule.wanted not in rule.found:
                say(f"{'':<32}wanted: {rule.wanted}")
        if decision.moved:
            forced = ", by force" if decision.forced else ""
            nothing = "the first one" if decision.number == 1 else "where there was none"
            before = f"instead of {decision.before}" if decision.before else nothing
            say(
                f"{given.name}: version {decision.version} is champion, {before}{forced} "
                f"(decision {decision.number})"
            )
