"""Show which version was champion when, who decided it, and why.

Show every decision about a model's champion, oldest first. Nothing is written.
"""

import argparse
from typing import TYPE_CHECKING, Any

from modelyard.cli.arguments import add_json, add_name
from modelyard.cli.output import say, say_json

if TYPE_CHECKING:
    from modelyard.registry.champions.decisions import Decision
    from modelyard.registry.champions.record import Record


def add_arguments(command: argparse.ArgumentParser) -> None:
    add_json(command)
    add_name(command)
    command.add_argument("--refusals", action="store_true", help="also show refusals, which moved nothing")


def run(given: argparse.Namespace) -> None:
    """Print the decisions."""
    from modelyard.registry.champions.history import History
    from modelyard.tracking.store import open_store

    past = History(open_store(), given.name).read()
    if given.json:
        say_json(_plain(past))
        return
    if not past.terms:
        say(f"{given.name}: no version was champion yet")
    for term in past.terms:
        decision = term.decision
        until = f"{term.until:%Y-%m-%d %H:%M}" if term.until else "now"
        say(f"{decision.subject:<12} {decision.at:%Y-%m-%d %H:%M} to {until:<16}  {_describe(decision)}")
    if past.pending:
        say(f"pending: {_describe(past.pending)}; the next promote or rollback completes it")
    for refused in (one for one in past.decisions if not one.moved and given.refusals):
        say(f"refused      {refused.at:%Y-%m-%d %H:%M}  version {refused.version}: {_describe(refused)}")


def _describe(decision: "Decision") -> str:
    failed = [rule.rule for rule in decision.rules if not rule.passed]
    parts = [f"{decision.number}: {decision.kind}" + (f" by {decision.by}" if decision.by else "")]
    if failed:
        parts.append(("by force although it fails " if decision.forced else "it fails ") + ", ".join(failed))
    if decision.reason:
        parts.append(decision.reason)
    return "; ".join(parts)


def _plain(past: "Record") -> dict[str, Any]:
    """Return a history as plain values: who was champion when, and every decision with its rules."""
    terms = [
        {
            "version": term.decision.version,
            "from": term.decision.at.isoformat(timespec="milliseconds"),
            "until": term.until and term.until.isoformat(timespec="milliseconds"),
            "decision": term.decision.number if term.on_record else None,
        }
        for term in past.terms
    ]
    decisions = [decision.to_plain() for decision in past.decisions]
    pending = past.pending and past.pending.number
    return {"champion": past.champion, "terms": terms, "decisions": decisions, "pending": pending}
