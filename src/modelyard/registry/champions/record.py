"""What is on record of a model's champions, and what follows from it."""

from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest

from modelyard.registry.champions.decisions import Decision, Kind, RuleResult


@dataclass(frozen=True)
class Term:
    """A version's time as champion, and the decision that began it."""

    decision: Decision  # `decision.version` is the champion, None while there was none
    until: datetime | None  # when the next one began, in UTC; None for the present one
    on_record: bool  # False for a move by hand that was noticed only now


@dataclass(frozen=True)
class Record:
    """What is on record of a model, and where its alias points now."""

    decisions: tuple[Decision, ...]  # in order
    applied: frozenset[int]  # the numbers of those whose alias was moved
    champion: int | None  # where the alias points now, or None
    # Whether its run was deleted in MLflow; `History.settle` restores it, or begins a new one.
    deleted: bool = False

    @property
    def last_move(self) -> Decision | None:
        """The last decision that moved the champion."""
        return next((one for one in reversed(self.decisions) if one.moved), None)

    @property
    def pending(self) -> Decision | None:
        """The last move, if its alias was not moved yet."""
        last = self.last_move
        # A move by hand was done before it was recorded.
        if last is None or last.kind == Kind.BY_HAND or last.number in self.applied:
            return None
        return last if last.version != self.champion else None

    @property
    def next_number(self) -> int:
        """The number of the next decision."""
        return self.decisions[-1].number + 1 if self.decisions else 1

    @property
    def noticed(self) -> Decision | None:
        """The decision for a move of the alias that is not on record: it was made by hand."""
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
        """Make the next decision; `History.record` puts it on record."""
        return Decision(self.next_number, kind, version, self.champion, moved, reason, rules, forced)

    @property
    def terms(self) -> tuple[Term, ...]:
        """Who was champion from when to when, oldest first, without a pending move."""
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
        """The champions one after the other, the present one last, if there is one.

        A rollback removes what came after its version, so that the next one goes back further.
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
        """The champions that a rollback may go back to, latest first, without the present one.

        If somebody removed the alias there is no present one, and the last champion comes first.
        """
        return tuple(version for version in reversed(self.champions) if version != self.champion)
