"""The history of a model's champions, kept in MLflow: append-only, and always in step with the alias.

Each model has one run, `history of NAME`, in an experiment of its own. A decision is a parameter of that run,
`decision/0001` and so on. MLflow never changes a parameter, so if two writers use the same number, one wins
and the other learns it. A decision counts from that moment; then the alias is moved, and `applied/0001` says
so. The next writer completes what a killed process left undone.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from modelyard.errors import ModelyardError
from modelyard.failures import warn
from modelyard.inference.plain_text import escape
from modelyard.registry.champions.decisions import Decision
from modelyard.registry.champions.history_run import HistoryRun
from modelyard.registry.champions.record import Record
from modelyard.registry.versions import CHAMPION, get_model, move_alias, tag_version
from modelyard.tracking.store import Store

# MLflow truncates longer parameters.
MOST_CHARACTERS = 6000
# A writer moves the alias a second or two after its decision; one that takes longer is assumed dead.
GRACE = timedelta(seconds=30)


class OvertakenError(ModelyardError):
    """Somebody else decided first."""


class GoneError(ModelyardError):
    """The version that was to become champion has been deleted."""


class History:
    """The decisions on one model."""

    def __init__(self, store: Store, name: str) -> None:
        self._client, self._name = store.client, name
        self._run = HistoryRun(store, name)

    def read(self) -> Record:
        """Read what is on record, and write nothing; raise ModelyardError if a record cannot be read."""
        past = self._read()
        # What looks like a move by hand may be a decision made between the two reads.
        return self._read() if past.noticed else past

    def _read(self) -> Record:
        """Read the decisions, then the alias.

        In this order, a decision made in between is never recorded as a move by hand, because its number
        is taken.
        """
        model = get_model(self._client, self._name)
        params, deleted = self._run.read(model)
        if params:
            model = get_model(self._client, self._name)
        version = dict(model.aliases).get(CHAMPION)
        texts = _number(params, "decision")
        decisions = tuple(self._parse(number, texts[number]) for number in sorted(texts))
        applied = frozenset(_number(params, "applied"))
        return Record(decisions, applied, None if version is None else int(version), deleted)

    def settle(self) -> Record:
        """Complete unfinished decisions, record moves made by hand, and return what is then on record.

        A history that was deleted in MLflow is restored, or begun anew if it is gone for good, with a
        warning. Raises OvertakenError if somebody is in the middle of a decision, and ModelyardError if a
        record cannot be read.
        """
        past = self.read()
        if past.deleted:
            self._run.open()
            past = self.read()
        if pending := past.pending:
            if datetime.now(UTC) - pending.at < GRACE:
                raise OvertakenError(
                    f"{self._name}: {pending.by} is making {pending.subject} champion: "
                    f"wait {GRACE.seconds} s, look at `modelyard history {self._name}`, then try again"
                )
            try:
                self._apply(pending)
            except GoneError as error:
                warn(str(error))
        elif noticed := past.noticed:
            self._append(noticed)
            self._mark_applied(noticed)
        elif past.last_move and past.last_move.number not in past.applied:
            self._mark_applied(past.last_move)
        else:
            return past
        return self.read()

    def record(self, decision: Decision) -> None:
        """Record a decision, and move the alias accordingly.

        Raises OvertakenError if somebody else has decided since the history was read, or has had the time to,
        and ModelyardError if the record is too long.
        """
        self._append(decision)
        if not decision.moved:
            self._tag_version(decision, "refused_by")
            return
        if datetime.now(UTC) - decision.at > GRACE / 2:
            raise OvertakenError(
                f"{self._name}: decision {decision.number} is recorded, but it took so long that another "
                f"may be completing it: look at `modelyard history {self._name}` in {GRACE.seconds} s"
            )
        self._apply(decision)

    def _append(self, decision: Decision) -> None:
        text = decision.to_json()
        if len(text) > MOST_CHARACTERS:
            raise ModelyardError(
                f"{self._name}: expected a decision of at most {MOST_CHARACTERS} characters, "
                f"got {len(text)}: give a shorter reason"
            )
        run_id = self._run.open()
        # First, so that nothing moves that cannot be kept; with its own id, since another may win the number.
        file = f"decisions/{decision.number:04}-{decision.id[:8]}.json"
        self._client.log_text(run_id, decision.to_json(indent=2), file)
        if not self._run.log_once(_key("decision", decision.number), text):
            winner = next(one for one in self.read().decisions if one.number == decision.number)
            raise OvertakenError(
                f"{self._name}: {winner.by} has just decided about {winner.subject} "
                f"(decision {winner.number}): look at `modelyard history {self._name}`, then try again"
            )

    def _apply(self, decision: Decision) -> None:
        """Move the alias as decided; raise GoneError if the version has been deleted."""
        moved = decision.version is None or move_alias(self._client, self._name, CHAMPION, decision.version)
        if moved and decision.version is not None:
            self._tag_version(decision, "champion_by")
        self._mark_applied(decision)
        if not moved:
            raise GoneError(
                f"{self._name}: {decision.subject} was deleted before decision {decision.number} made it "
                "champion: nothing has moved"
            )
        # A delayed writer may move the alias after the next one did: the later decision is applied again.
        last = self.read().last_move
        if last and last.number > decision.number:
            self._apply(last)

    def _tag_version(self, decision: Decision, key: str) -> None:
        told = f"decision {decision.number}, {decision.at:%Y-%m-%d}, {decision.kind} by {decision.by}"
        if failed := [rule.rule for rule in decision.rules if not rule.passed]:
            told += f"; it fails {', '.join(failed)}"
        if decision.reason:
            told += f"; {decision.reason}"
        tag_version(self._client, self._name, str(decision.version), key, escape(told, "\n"))

    def _mark_applied(self, decision: Decision) -> None:
        self._run.log_once(_key("applied", decision.number), "true")

    def _parse(self, number: int, text: str) -> Decision:
        try:
            decision = Decision.from_json(text)
            if decision.number != number:
                raise ValueError(f"it says that it is decision {decision.number}")
        except ValueError as error:
            raise ModelyardError(
                f"{self._name}: decision {number} of run {self._run.id} cannot be read ({error}): was it "
                "written by a newer modelyard?"
            ) from None
        return decision


def _key(kind: str, number: int) -> str:
    return f"{kind}/{number:04}"


def _number(params: Mapping[str, str], kind: str) -> dict[int, str]:
    """Return the parameters of a kind by their numbers, ignoring keys that modelyard does not write."""
    found = [re.fullmatch(rf"{kind}/([0-9]{{4,9}})", key) for key in params]
    numbers = [int(match[1]) for match in found if match]
    return {number: params[_key(kind, number)] for number in numbers if _key(kind, number) in params}
