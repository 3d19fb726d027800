"""The history of a model's champions, kept in MLflow itself: append-only, and never at odds with the alias.

Each model has one run, `history of NAME`, in an experiment of its own. A decision is a parameter of that run,
`decision/0001` and so on: MLflow never changes a parameter that it holds, so of two writers who want the same
number one wins and the other is told. A decision counts from that moment; moving the alias comes after it,
and `applied/0001` says that this is done. What a killed process left undone, the next writer completes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import zip_longest

from modelyard.errors import ModelyardError
from modelyard.failures import warn
from modelyard.inference.plain_text import escape
from modelyard.registry.champions.decisions import Decision, Kind, RuleResult
from modelyard.registry.champions.history_run import HistoryRun
from modelyard.registry.versions import CHAMPION, get_model, move_alias
from modelyard.tracking.retries import write_past_others
from modelyard.tracking.store import Store

# MLflow cuts a longer parameter off.
MOST_CHARACTERS = 6000
# A writer needs a second or two from its decision to the alias; one that has not come so far is dead.
GRACE = timedelta(seconds=30)


class OvertakenError(ModelyardError):
    """Somebody else decided first."""


class GoneError(ModelyardError):
    """The version that was to become champion is deleted."""


@dataclass(frozen=True)
class Term:
    """A version's time as champion, and the decision that began it.

    Attributes:
        decision: the decision; `decision.version` is the champion, None while there was none.
        until: when the next one began, in UTC; None for the present one.
        on_record: False for a move by hand that was noticed only now.
    """

    decision: Decision
    until: datetime | None
    on_record: bool


@dataclass(frozen=True)
class Record:
    """What is on record of a model, and what its alias says now.

    Attributes:
        decisions: in their order.
        applied: numbers of those whose alias was moved.
        champion: where the alias points now; None where there is none.
        deleted: whether the run that keeps it was deleted in MLflow; `History.settle` restores it, or
            begins a new one where it is gone for good.
    """

    decisions: tuple[Decision, ...]
    applied: frozenset[int]
    champion: int | None
    deleted: bool = False

    @property
    def last_move(self) -> Decision | None:
        """The last decision that moved the champion."""
        return next((one for one in reversed(self.decisions) if one.moved), None)

    @property
    def pending(self) -> Decision | None:
        """The last move, where its alias was not moved yet."""
        last = self.last_move
        # A move by hand was done before it came on record.
        if last is None or last.kind == Kind.BY_HAND or last.number in self.applied:
            return None
        return last if last.version != self.champion else None

    @property
    def next_number(self) -> int:
        """The number of the next decision."""
        return self.decisions[-1].number + 1 if self.decisions else 1

    @property
    def noticed(self) -> Decision | None:
        """A move that nobody put on record, as a decision for it: the alias was moved by hand."""
        last = self.last_move
        expected = last.version if last else None
        if self.champion == expected or self.pending:
            return None
        when = f"after decision {last.number}" if last else "before the history began"
        return Decision(
            number=self.next_number,
            kind=Kind.BY_HAND,
            version=self.champion,
            before=expected,
            moved=True,
            reason=f"moved without modelyard, {when}; noticed now",
            by="",
        )

    def decide(
        self,
        kind: Kind,
        version: int,
        *,
        moved: bool = True,
        reason: str = "",
        rules: tuple[RuleResult, ...] = (),
        forced: bool = False,
    ) -> Decision:
        """Make the next decision; it is on record once `History.record` has taken it."""
        return Decision(self.next_number, kind, version, self.champion, moved, reason, rules, forced)

    @property
    def terms(self) -> tuple[Term, ...]:
        """Who was champion from when to when, oldest first; a move that is pending is not among them."""
        pending, noticed = self.pending, self.noticed
        moves = [one for one in self.decisions if one.moved and one != pending]
        if noticed:
            moves.append(noticed)
        return tuple(
            Term(move, later.at if later else None, on_record=move is not noticed)
            for move, later in zip_longest(moves, moves[1:])
        )

    @property
    def champions(self) -> tuple[int, ...]:
        """The champions one after the other, the present one last, where there is one.

        A rollback takes back what came after its version, so that the next one goes back further.
        """
        stack: list[int] = []
        for move in (term.decision for term in self.terms):
            if move.kind == Kind.ROLLBACK and move.version in stack:
                del stack[stack.index(move.version) + 1 :]
            elif move.version is not None and stack[-1:] != [move.version]:
                stack.append(move.version)
        return tuple(stack)

    @property
    def predecessors(self) -> tuple[int, ...]:
        """The champions that a rollback may go back to, the latest first; none is the present one.

        Where somebody removed the alias there is no present one, and the last champion is the first of them.
        """
        return tuple(version for version in reversed(self.champions) if version != self.champion)


class History:
    """The decisions on one model.

    Args:
        store: where the model is registered.
        name: of the registered model.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._client, self._name = store.client, name
        self._run = HistoryRun(store, name)

    def read(self) -> Record:
        """Read what is on record; nothing is written.

        Raises:
            UsageError: there is no such model.
            ModelyardError: a record cannot be read.
        """
        past = self._read()
        # What looks like a move by hand may be a decision that came between the two.
        return self._read() if past.noticed else past

    def _read(self) -> Record:
        """Read the decisions, then the alias.

        In this order a decision that comes between them is never put on record as a move by hand: its
        number, the next one, is taken by then.
        """
        model = get_model(self._client, self._name)
        kept = self._run.read(model)
        if self._run.id is not None:
            model = get_model(self._client, self._name)
        version = dict(model.aliases).get(CHAMPION)
        texts = _number(kept.params, "decision")
        decisions = tuple(self._parse(number, texts[number]) for number in sorted(texts))
        applied = frozenset(_number(kept.params, "applied"))
        return Record(decisions, applied, None if version is None else int(version), kept.deleted)

    def settle(self) -> Record:
        """Complete what was left undone, put on record what was done by hand, and read what is then known.

        A history that was deleted in MLflow is restored; where it is gone for good, a new one begins. Either
        is said on stderr.

        Raises:
            OvertakenError: somebody is in the middle of a decision.
            ModelyardError: a record cannot be read.
        """
        past = self.read()
        if past.deleted:
            self._run.open()
            past = self.read()
        if pending := past.pending:
            if datetime.now(UTC) - pending.at < GRACE:
                raise OvertakenError(
                    f"{self._name}: {pending.by} is just making {pending.subject} champion: "
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
        """Put a decision on record, and let the alias follow it.

        Raises:
            OvertakenError: somebody else has decided since the history was read, or has had the time to.
            ModelyardError: the record is too long.
        """
        self._append(decision)
        if not decision.moved:
            self._tag_version(decision, "refused_by")
            return
        if datetime.now(UTC) - decision.at > GRACE / 2:
            raise OvertakenError(
                f"{self._name}: decision {decision.number} is on record, but it took so long that another "
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
        # First, so that nothing moves which cannot be kept; under an id of its own, for it may come late.
        file = f"decisions/{decision.number:04}-{decision.id[:8]}.json"
        self._client.log_text(run_id, decision.to_json(indent=2), file)
        if not self._run.log_once(_key("decision", decision.number), text):
            winner = next(one for one in self.read().decisions if one.number == decision.number)
            raise OvertakenError(
                f"{self._name}: {winner.by} has just decided about {winner.subject} "
                f"(decision {winner.number}): look at `modelyard history {self._name}`, then try again"
            )

    def _apply(self, decision: Decision) -> None:
        """Let the alias follow a decision.

        Raises:
            GoneError: the version was deleted since; what is champion now comes on record as a move by hand.
        """
        moved = decision.version is None or move_alias(self._client, self._name, CHAMPION, decision.version)
        if moved and decision.version is not None:
            self._tag_version(decision, "champion_by")
        self._mark_applied(decision)
        if not moved:
            raise GoneError(
                f"{self._name}: {decision.subject} was deleted before decision {decision.number} made it "
                "champion: nothing has moved"
            )
        # A writer that was held up moves the alias after the next one did: then it is put right again.
        last = self.read().last_move
        if last and last.number > decision.number:
            self._apply(last)

    def _tag_version(self, decision: Decision, key: str) -> None:
        told = f"decision {decision.number}, {decision.at:%Y-%m-%d}, {decision.kind} by {decision.by}"
        if failed := [rule.rule for rule in decision.rules if not rule.passed]:
            told += f"; it fails {', '.join(failed)}"
        if decision.reason:
            told += f"; {decision.reason}"
        number, text = str(decision.version), escape(told, "\n")
        write_past_others(lambda: self._client.set_model_version_tag(self._name, number, key, text))

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
    """Return the parameters of a kind by their numbers; a key that modelyard does not write is no such."""
    found = [re.fullmatch(rf"{kind}/([0-9]{{4,9}})", key) for key in params]
    numbers = [int(match[1]) for match in found if match]
    return {number: params[_key(kind, number)] for number in numbers if _key(kind, number) in params}
