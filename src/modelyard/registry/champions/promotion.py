"""Who is champion: promoted through the gate or by force, rolled back, and always on record."""

import random
import time
from contextlib import suppress

from modelyard.errors import ModelyardError, UsageError
from modelyard.failures import warn
from modelyard.params import Gate
from modelyard.registry.artifacts import check_bundle
from modelyard.registry.champions.beside import Beside
from modelyard.registry.champions.decisions import Decision, Kind, RuleResult
from modelyard.registry.champions.gate import BUNDLE, ask_gate
from modelyard.registry.champions.history import History, OvertakenError
from modelyard.registry.champions.record import Record
from modelyard.registry.evidence import add_classes, read_evidence
from modelyard.registry.kept_files import read_kept_predictions
from modelyard.registry.versions import CONTENT_KEY, find_version, list_versions
from modelyard.tracking.mlflow_types import ModelVersion
from modelyard.tracking.store import Store

# Longer than a writer that died delays the others.
PATIENCE_S = 60.0


class RefusedError(ModelyardError):
    """The gate refuses a version; `decision` says why, and is on record."""

    def __init__(self, message: str, decision: Decision) -> None:
        super().__init__(message)
        self.decision = decision


def promote(
    store: Store, name: str, wanted: str, gate: Gate, *, reason: str = "", force: bool = False
) -> Decision | None:
    """Make a version champion if the gate lets it pass; return the decision, which is recorded either way.

    `wanted` is the version's number or alias; if it is champion already, the result is None. `force` promotes
    it although a rule fails, with a reason, but never a version that cannot be served.

    Raises:
        RefusedError: a rule fails.
        OvertakenError: somebody else decides at the same time.
        UsageError: there is no such model or version, or no reason to force it.
    """
    if force and not reason.strip():
        raise UsageError('--force: expected --reason "..." too, for the record')
    version = find_version(store.client, name, wanted)
    number = int(version.version)
    history = History(store, name)
    past = history.settle()
    if number == past.champion:
        return None
    rules = _judge(store, version, past.champion, gate)
    failed = [rule.rule for rule in rules if not rule.passed]
    forced = force and bool(failed) and BUNDLE not in failed
    decision = past.decide(
        Kind.PROMOTE, number, moved=forced or not failed, reason=reason, rules=rules, forced=forced
    )
    history.record(decision)
    if not decision.moved:
        raise _refuse(name, decision, failed)
    return decision


def _judge(store: Store, version: ModelVersion, champion: int | None, gate: Gate) -> tuple[RuleResult, ...]:
    """Ask the gate about a version beside the champion, which is read only if a rule needs it."""
    evidence = read_evidence(store, version)
    if any(name.startswith("class/") for name, limit in gate.metrics.items() if limit):
        # Without its predictions it counts as not measured.
        with suppress(ModelyardError):
            evidence = add_classes(evidence, *read_kept_predictions(store, evidence))

    beside = Beside(store, evidence, champion) if champion else None
    return ask_gate(gate, evidence, lambda: check_bundle(store, version), beside)


def _refuse(name: str, decision: Decision, failed: list[str]) -> RefusedError:
    way_out = (
        f"Nothing overrides {BUNDLE}, because the version could not be served: choose another"
        if BUNDLE in failed
        else '`--force --reason "..."` overrides'
    )
    return RefusedError(
        f"{name}: version {decision.version} does not become champion, because it fails {', '.join(failed)}; "
        f"recorded as decision {decision.number}. {way_out}",
        decision,
    )


def roll_back(store: Store, name: str, to: str | None = None, *, reason: str = "") -> Decision:
    """Go back to the previous champion, or to a version that is named.

    If the alias was removed, the last champion comes back. Champions that are gone, or that modelyard did not
    publish, are skipped with a warning.

    Raises:
        UsageError: there is no such model or version, or it is champion already.
        ModelyardError: there is no champion to go back to, or its artifacts are missing or changed.
        OvertakenError: somebody else decides at the same time.
    """
    history = History(store, name)
    past = history.settle()
    target = find_version(store.client, name, to) if to else _find_previous(store, name, past)
    number = int(target.version)
    if number == past.champion:
        raise UsageError(f"{name}: version {number} is already champion: name another with --to")
    try:
        check_bundle(store, target)
    except ModelyardError as error:
        raise ModelyardError(f"{error}; name another version with --to") from None
    whole = RuleResult(BUNDLE, True, "artifacts that match their digest, and a model that answers", "they do")
    decision = past.decide(Kind.ROLLBACK, number, reason=reason, rules=(whole,))
    history.record(decision)
    return decision


def register_champion(store: Store, name: str, number: int, reason: str, *, replace: bool) -> None:
    """Make a new version champion if its name has none, or if it is to `replace` the present one.

    While other processes decide about the same name, this is tried again for up to a minute.
    """
    history, end = History(store, name), time.monotonic() + PATIENCE_S
    while True:
        try:
            past = history.settle()
            if past.champion == number or (past.champion and not replace):
                return
            history.record(past.decide(Kind.REGISTER, number, reason=reason))
            return
        except OvertakenError:
            if time.monotonic() > end:
                raise
            # Random, so that they do not all try again at the same moment.
            time.sleep(random.uniform(0.1, 1.0))  # noqa: S311


def _find_previous(store: Store, name: str, past: Record) -> ModelVersion:
    versions = {int(one.version): one for one in list_versions(store.client, name)}
    for number in past.predecessors:
        found = versions.get(number)
        if found is not None and CONTENT_KEY in found.tags:
            return found
        fault = "is gone" if found is None else "was not published by modelyard"
        warn(f"{name}: version {number}, an earlier champion, {fault}: it is skipped")
    raise ModelyardError(
        f"{name}: expected an earlier champion, found none in its history that still exists: "
        "name a version with --to"
    )
