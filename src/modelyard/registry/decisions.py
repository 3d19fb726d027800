"""Decisions about which version is champion, as they are kept: who, when, from what to what, and why."""

import getpass
import json
import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self


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
    def champion(self) -> int | None:
        """The champion after it."""
        return self.version if self.moved else self.before

    def to_plain(self) -> dict[str, Any]:
        """Return plain values, as JSON has them."""
        return {**asdict(self), "kind": str(self.kind), "at": self.at.isoformat(timespec="milliseconds")}

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(self.to_plain(), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Make it of what `to_plain` gave.

        Raises:
            ValueError: something is missing, or is no such value.
        """
        try:
            return cls(
                **{
                    **plain,
                    "kind": Kind(plain["kind"]),
                    "at": datetime.fromisoformat(plain["at"]),
                    "rules": tuple(RuleResult(**rule) for rule in plain["rules"]),
                }
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"no decision: {error}") from None


def _now() -> datetime:
    """The time, as exactly as it is kept."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _whoami() -> str:
    """Who decides: as the tracking server knows him, else as this machine does."""
    user = os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
    return f"{user}@{socket.gethostname()}"
