"""`modelyard promote`, `rollback` and `history`: who is champion, and why."""

import argparse
from typing import TYPE_CHECKING, Any

from modelyard.cli.output import say, say_json

if TYPE_CHECKING:
    from modelyard.registry.decisions import Decision
    from modelyard.registry.history import Past


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `promote`, `rollback` and `history`."""
    promote = _add(
        commands,
        "promote",
        "make a version champion, if the gate lets it through",
        "Ask every rule of the model's gate in conf/ about a version, and make it champion if all hold. The "
        "decision is on record either way. Exit code 1: a rule does not hold, and nothing has moved.",
    )
    promote.add_argument("version", metavar="VERSION", help="its number or an alias")
    promote.add_argument(
        "--force", action="store_true", help="move it although a rule other than bundle does not hold"
    )
    promote.set_defaults(run=_promote)
    rollback = _add(
        commands,
        "rollback",
        "go back to the champion before",
        "Make the previous champion champion again; once more goes back further. A version whose artifacts "
        "are missing or changed is refused.",
    )
    rollback.add_argument("--to", metavar="VERSION", help="another version: its number or an alias")
    rollback.set_defaults(run=_roll_back)
    for command in (promote, rollback):
        command.add_argument("--reason", default="", metavar="TEXT", help="why, for the record")
    history = _add(
        commands,
        "history",
        "what was champion from when to when, by whom, and why",
        "Tell every decision about a model's champion, oldest first. Nothing is written.",
    )
    history.add_argument("--refusals", action="store_true", help="those too that moved nothing")
    history.set_defaults(run=_tell_history)


def _add(commands: Any, name: str, short: str, long: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=short, description=long)
    command.add_argument("name", metavar="NAME", help="of a registered model")
    command.add_argument("--json", action="store_true", help="print JSON")
    return command


def _promote(given: argparse.Namespace) -> None:
    from modelyard.params import load_params
    from modelyard.params.catalogue import find_gate
    from modelyard.registry.promotion import RefusedError, promote
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
        _tell(refused.decision, given)
        raise
    _tell(decision, given)


def _roll_back(given: argparse.Namespace) -> None:
    from modelyard.registry.promotion import roll_back
    from modelyard.tracking.store import open_store

    _tell(roll_back(open_store(), given.name, given.to, reason=given.reason), given)


def _tell(decision: "Decision | None", given: argparse.Namespace) -> None:
    """Print what was decided; None stands for nothing to decide."""
    if given.json:
        say_json(decision and decision.to_plain())
    elif decision is None:
        say(f"{given.name}: version {given.version} is champion already")
    else:
        for rule in decision.rules:
            say(f"{'pass' if rule.passed else 'FAIL'}  {rule.rule:<26}{rule.found}")
            if rule.wanted not in rule.found:
                say(f"{'':<32}wanted: {rule.wanted}")
        if decision.moved:
            forced = ", by force" if decision.forced else ""
            before = f"instead of {decision.before}" if decision.before else "the first one"
            say(
                f"{given.name}: version {decision.version} is champion, {before}{forced} "
                f"(decision {decision.number})"
            )


def _tell_history(given: argparse.Namespace) -> None:
    from modelyard.registry.history import History
    from modelyard.tracking.store import open_store

    past = History(open_store(), given.name).read()
    if given.json:
        say_json(_plain(past))
        return
    if not past.reigns:
        say(f"{given.name}: no version was champion yet")
    for reign in past.reigns:
        decision = reign.decision
        until = f"{reign.until:%Y-%m-%d %H:%M}" if reign.until else "now"
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


def _plain(past: "Past") -> dict[str, Any]:
    """Return a history as plain values: who was champion when, and every decision with its rules."""
    reigns = [
        {
            "version": reign.decision.version,
            "from": reign.decision.at.isoformat(timespec="milliseconds"),
            "until": reign.until and reign.until.isoformat(timespec="milliseconds"),
            "decision": reign.decision.number if reign.on_record else None,
        }
        for reign in past.reigns
    ]
    decisions = [decision.to_plain() for decision in past.decisions]
    pending = past.pending and past.pending.number
    return {"champion": past.champion, "reigns": reigns, "decisions": decisions, "pending": pending}
