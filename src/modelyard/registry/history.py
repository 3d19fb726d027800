"""The history of a model's champions, kept in MLflow itself: append-only, and never at odds with the alias.

Each model has one run, `history of NAME`, in an experiment of its own. A decision is a parameter of that run,
`decision/0001` and so on: MLflow never changes a parameter that it holds, so of two writers who want the same
number one wins and the other is told. A decision counts from that moment; moving the alias comes after it,
and `applied/0001` says that this is done. What a killed process left undone, the next writer completes.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from typing import TYPE_CHECKING

from modelyard.errors import ModelyardError
from modelyard.registry.decisions import Decision, Kind, RuleResult
from modelyard.registry.versions import CHAMPION, get_model, list_versions
from modelyard.tracking.store import Store, ensure_experiment, write_past_others

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "modelyard decisions"
# A registered model's tag with the id of its run.
HISTORY_RUN = "history_run"
# A parameter of the run of a model's first version: as long as there is no tag, it says which run was first.
FIRST = "modelyard.history_run"
# MLflow cuts a longer parameter off.
MOST_CHARACTERS = 6000
# A writer needs a second or two from its decision to the alias; one that has not come so far is dead.
GRACE = timedelta(seconds=30)


class OvertakenError(ModelyardError):
    """Somebody else decided first."""


@dataclass(frozen=True)
class Reign:
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
class Past:
    """What is on record of a model, and what its alias says now.

    Attributes:
        decisions: in their order.
        applied: numbers of those whose alias was moved.
        champion: where the alias points now; None where there is none.
    """

    decisions: tuple[Decision, ...]
    applied: frozenset[int]
    champion: int | None

    @property
    def last_move(self) -> Decision | None:
        """The last decision that moved the champion."""
        return next((one for one in reversed(self.decisions) if one.moved), None)

    @property
    def pending(self) -> Decision | None:
        """The last move, where its alias was not moved yet."""
        last = self.last_move
        return last if last and last.number not in self.applied and last.version != self.champion else None

    @property
    def noticed(self) -> Decision | None:
        """A move that nobody put on record, as a decision for it: the alias was moved by hand."""
        last = self.last_move
        expected = last.version if last else None
        if self.champion == expected or self.pending:
            return None
        when = f"after decision {last.number}" if last else "before the history began"
        return Decision(
            number=len(self.decisions) + 1,
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
        number = len(self.decisions) + 1
        return Decision(number, kind, version, self.champion, moved, reason, rules, forced)

    @property
    def reigns(self) -> tuple[Reign, ...]:
        """Who was champion from when to when, oldest first; a move that is pending is not among them."""
        pending, noticed = self.pending, self.noticed
        moves = [one for one in self.decisions if one.moved and one != pending]
        if noticed:
            moves.append(noticed)
        return tuple(
            Reign(move, later.at if later else None, on_record=move is not noticed)
            for move, later in zip_longest(moves, moves[1:])
        )

    @property
    def champions(self) -> tuple[int, ...]:
        """The champions that a rollback may go back to, the present one last.

        A rollback takes back what came after its version, so that the next one goes back further.
        """
        stack: list[int] = []
        for move in (reign.decision for reign in self.reigns):
            if move.kind == Kind.ROLLBACK and move.version in stack:
                del stack[stack.index(move.version) + 1 :]
            elif move.version is not None and stack[-1:] != [move.version]:
                stack.append(move.version)
        return tuple(stack)


class History:
    """The decisions on one model.

    Args:
        store: where the model is registered.
        name: of the registered model.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._client, self._name = store, store.client, name
        self._run_id: str | None = None

    def read(self) -> Past:
        """Read what is on record; nothing is written.

        Raises:
            UsageError: there is no such model.
            ModelyardError: a record cannot be read.
        """
        past = self._read()
        # What looks like a move by hand may be a decision that came between the two.
        return self._read() if past.noticed else past

    def _read(self) -> Past:
        """Read the decisions, then the alias.

        In this order a decision that comes between them is never put on record as a move by hand: its
        number, the next one, is taken by then.
        """
        model = get_model(self._client, self._name)
        self._run_id = self._run_id or self._find(model.tags)
        params: Mapping[str, str] = {}
        if self._run_id is not None:
            params = self._client.get_run(self._run_id).data.params
            model = get_model(self._client, self._name)
        version = dict(model.aliases).get(CHAMPION)
        numbers = sorted(int(key.removeprefix("decision/")) for key in params if key.startswith("decision/"))
        applied = frozenset(int(key.removeprefix("applied/")) for key in params if key.startswith("applied/"))
        decisions = tuple(self._parse(number, params[_key(number)]) for number in numbers)
        return Past(decisions, applied, None if version is None else int(version))

    def settle(self) -> Past:
        """Complete what was left undone, put on record what was done by hand, and read what is then known.

        Raises:
            OvertakenError: somebody is in the middle of a decision.
            ModelyardError: a record cannot be read.
        """
        past = self.read()
        if pending := past.pending:
            if datetime.now(UTC) - pending.at < GRACE:
                raise OvertakenError(
                    f"{self._name}: {pending.by} is just making version {pending.version} champion: "
                    f"wait {GRACE.seconds} s, look at `modelyard history {self._name}`, then try again"
                )
            self._apply(pending)
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
        run_id = self._open()
        # First, so that nothing moves which cannot be kept; under an id of its own, for it may come late.
        document = json.dumps(decision.to_plain(), indent=2, ensure_ascii=False)
        self._client.log_text(run_id, document, f"decisions/{decision.number:04}-{decision.id[:8]}.json")
        if not _log_once(self._client, run_id, _key(decision.number), text):
            winner = self.read().decisions[decision.number - 1]
            raise OvertakenError(
                f"{self._name}: {winner.by} has just decided about version {winner.version} "
                f"(decision {winner.number}): look at `modelyard history {self._name}`, then try again"
            )

    def _apply(self, decision: Decision) -> None:
        if decision.version is not None:
            self._client.set_registered_model_alias(self._name, CHAMPION, str(decision.version))
            self._tag_version(decision, "champion_by")
        self._mark_applied(decision)
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
        number = str(decision.version)
        write_past_others(lambda: self._client.set_model_version_tag(self._name, number, key, told))

    def _mark_applied(self, decision: Decision) -> None:
        _log_once(self._client, self._open(), f"applied/{decision.number:04}", "true")

    def _open(self) -> str:
        """Return the id of the model's run, which is made where there is none."""
        if self._run_id is None:
            first = self._first_run()
            if first is None:
                raise ModelyardError(
                    f"{self._name}: expected a version with a run, which modelyard has published; found none"
                )
            made = self._make_run()
            if not _log_once(self._client, first, FIRST, made):
                # Somebody else has made one in the meantime.
                self._client.delete_run(made)
                made = self._client.get_run(first).data.params[FIRST]
            self._run_id = made
        run_id = self._run_id
        write_past_others(lambda: self._client.set_registered_model_tag(self._name, HISTORY_RUN, run_id))
        return run_id

    def _find(self, tags: Mapping[str, str]) -> str | None:
        """Return the id of the model's run, where there is one; the tag comes a moment after it."""
        if HISTORY_RUN in tags:
            return tags[HISTORY_RUN]
        first = self._first_run()
        return None if first is None else self._client.get_run(first).data.params.get(FIRST)

    def _first_run(self) -> str | None:
        """Return the run of the oldest version, the same for all who ask."""
        versions = [one for one in list_versions(self._client, self._name) if one.run_id]
        return versions[0].run_id if versions else None

    def _make_run(self) -> str:
        experiment = ensure_experiment(self._client, self._store.uri, EXPERIMENT)
        note = (
            f"Who was champion of {self._name}, and why: each decision is a parameter, which MLflow never "
            f"lets change, and a file. `modelyard history {self._name}` tells it."
        )
        tags = {"kind": "history", "model": self._name, "mlflow.note.content": note}
        run = self._client.create_run(experiment, run_name=f"history of {self._name}", tags=tags)
        self._client.set_terminated(run.info.run_id)
        return str(run.info.run_id)

    def _parse(self, number: int, text: str) -> Decision:
        try:
            return Decision.from_plain(json.loads(text))
        except ValueError as error:
            raise ModelyardError(
                f"{self._name}: decision {number} of run {self._run_id} cannot be read ({error}): was it "
                "written by a newer modelyard?"
            ) from None


def _key(number: int) -> str:
    return f"decision/{number:04}"


def _log_once(client: "MlflowClient", run_id: str, key: str, value: str) -> bool:
    """Log a parameter unless the run has another value for it; say whether it has this one now."""
    from mlflow.exceptions import MlflowException

    try:
        client.log_param(run_id, key, value)
    except MlflowException as error:
        if error.error_code != "INVALID_PARAMETER_VALUE":
            raise
        return bool(client.get_run(run_id).data.params.get(key) == value)
    return True
