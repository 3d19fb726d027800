"""Decisions about which version is champion, as they are kept: who, when, from what to what, and why."""

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
    """What a rule of the gate found.

    Attributes:
        rule: its name.
        passed: whether it holds.
        wanted: in words, with its number.
        found: in words, with its number.
    """

    rule: str
    passed: bool
    wanted: str
    found: str


@dataclass(frozen=True)
class Decision:
    """A decision, whether it moved the champion or not.

    Attributes:
        number: its place in the history of its model, from 1.
        kind: what led to it.
        version: that was to become champion; None where somebody removed the alias by hand.
        before: the champion before it; None where there was none.
        moved: whether `version` became champion; a refusal moves nothing.
        reason: a person's words, or those of what decided.
        rules: what the gate found; empty where it was not asked.
        forced: whether it moved although a rule did not hold.
        by: user and host; empty where that is not known.
        at: when, in UTC.
        id: of its own, so that no two decisions are ever the same.
    """

    number: int
    kind: Kind
    version: int | None
    before: int | None
    moved: bool
    reason: str = ""
    rules: tuple[RuleResult, ...] = ()
    forced: bool = False
    by: str = field(default_factory=lambda: _whoami())
    at: datetime = field(default_factory=lambda: _now())
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def subject(self) -> str:
        """What was to become champion, in words."""
        return "no champion" if self.version is None else f"version {self.version}"

    @property
    def champion(self) -> int | None:
        """The champion after it."""
        return self.version if self.moved else self.before

    def to_plain(self) -> dict[str, Any]:
        """Return plain values, as JSON has them."""
        return {**asdict(self), "kind": str(self.kind), "at": self.at.isoformat(timespec="milliseconds")}

    def to_json(self, indent: int | None = None) -> str:
        """Return JSON that any store can keep: one line, or indented by so much."""
        separators = (",", ":") if indent is None else None
        text = json.dumps(self.to_plain(), indent=indent, ensure_ascii=False, separators=separators)
        # Half a surrogate pair is no UTF-8; its escape is JSON.
        return text.encode(errors="backslashreplace").decode()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Make it of what `to_json` gave.

        Raises:
            ValueError: it is no JSON, something is missing, or is no such value.
        """
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


def _check_types(told: Decision | RuleResult) -> None:
    """Let whoever reads a decision rely on its types; what it says may have been written by any hand."""
    kinds: dict[str, Any] = {
        **dict.fromkeys(("number", "version", "before"), int),
        **dict.fromkeys(("moved", "forced", "passed"), bool),
        **dict.fromkeys(("reason", "by", "id", "rule", "wanted", "found"), str),
    }
    for name, value in vars(told).items():
        may_be_none = name in ("version", "before") and value is None
        if name in kinds and type(value) is not kinds[name] and not may_be_none:
            raise ValueError(f"no decision: {name} is {value!r}")
        if type(value) is int and not 0 < value < HIGHEST_NUMBER:
            raise ValueError(f"no decision: {name} is no number of a version or a decision")
    if isinstance(told, Decision) and told.at.tzinfo is None:
        raise ValueError(f"no decision: {told.at} has no time zone")


def _now() -> datetime:
    """The time, as exactly as it is kept."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _whoami() -> str:
    """Who decides: as the tracking server knows him, else as this machine does."""
    user = os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
    return f"{user}@{socket.gethostname()}"
