"""Decisions about which version is champion, as they are kept: who, when, what, and why."""

import getpass
import json
import os
import socket
import uuid
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

from modelyard.registry.versions import HIGHEST_NUMBER


class Kind(StrEnum):
    """What led to a decision."""

    REGISTER = "register"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    BY_HAND = "by hand"


@dataclass(frozen=True)
class RuleResult:
    """A rule of the gate, whether it passed, and in words what it wanted and what it found."""

    rule: str
    passed: bool
    wanted: str
    found: str


@dataclass(frozen=True)
class Decision:
    """A decision, whether it moved the champion or not."""

    number: int  # its place in the history of its model, from 1
    kind: Kind
    version: int | None  # the candidate; None if somebody removed the alias by hand
    before: int | None  # the champion before it, or None
    moved: bool  # whether `version` became champion; a refusal moves nothing
    reason: str = ""  # given by a person, or by what decided
    rules: tuple[RuleResult, ...] = ()  # what the gate found; empty if it was not asked
    forced: bool = False  # whether it moved although a rule failed
    by: str = field(default_factory=lambda: _whoami())  # user@host; empty if unknown
    at: datetime = field(default_factory=lambda: _now())  # when, in UTC
    id: str = field(default_factory=lambda: uuid.uuid4().hex)  # makes every decision unique

    @property
    def subject(self) -> str:
        """The candidate, in words."""
        return "no champion" if self.version is None else f"version {self.version}"

    @property
    def champion(self) -> int | None:
        """The champion after it."""
        return self.version if self.moved else self.before

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {**asdict(self), "kind": str(self.kind), "at": self.at.isoformat(timespec="milliseconds")}

    def to_json(self, indent: int | None = None) -> str:
        """Return JSON that any store can keep, on one line or indented."""
        separators = (",", ":") if indent is None else None
        text = json.dumps(self.to_plain(), indent=indent, ensure_ascii=False, separators=separators)
        # UTF-8 cannot encode half a surrogate pair; JSON can escape it.
        return text.encode(errors="backslashreplace").decode()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the decision that `to_json` wrote; raise ValueError if the text is none."""
        try:
            plain = json.loads(text)
            found = cls(
                **{
                    **plain,
                    "kind": Kind(plain["kind"]),
                    "at": datetime.fromisoformat(plain["at"]),
                    "rules": tuple(RuleResult(**rule) for rule in plain["rules"]),
                }
            )
        except (KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"no decision: {error}") from None
        _check_types(found)
        for rule in found.rules:
            _check_types(rule)
        return found


def _check_types(made: Decision | RuleResult) -> None:
    """Check the types that readers rely on: anybody may have written the text."""
    kinds: dict[str, Any] = {
        **dict.fromkeys(("number", "version", "before"), int),
        **dict.fromkeys(("moved", "forced", "passed"), bool),
        **dict.fromkeys(("reason", "by", "id", "rule", "wanted", "found"), str),
    }
    for name, value in vars(made).items():
        may_be_none = name in ("version", "before") and value is None
        if name in kinds and type(value) is not kinds[name] and not may_be_none:
            raise ValueError(f"no decision: {name} is {value!r}")
        if type(value) is int and not 0 < value < HIGHEST_NUMBER:
            raise ValueError(f"no decision: {name} is no number of a version or a decision")
    if isinstance(made, Decision) and made.at.tzinfo is None:
        raise ValueError(f"no decision: {made.at} has no time zone")


def _now() -> datetime:
    """Return the time in the precision in which it is kept."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _whoami() -> str:
    """Return who decides: the user of the tracking server, else of this machine."""
    user = os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
    return f"{user}@{socket.gethostname()}"
