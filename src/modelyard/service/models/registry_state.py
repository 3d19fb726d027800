"""What the MLflow registry says about the served models, in plain values."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelyard.errors import ModelyardError
from modelyard.inference.bundle import is_content_key
from modelyard.inference.plain_text import is_plain
from modelyard.registry.versions import CONTENT_KEY, HIGHEST_NUMBER, PRECISION, SIZE_BYTES

# The tags of a version that the service uses; the others may be many and long.
TAGS = (CONTENT_KEY, SIZE_BYTES, PRECISION)
MOST_METRICS = 1000
MOST_DIGITS = 15


class SourceError(ModelyardError):
    """The registry does not answer, or not as it should.

    Attributes:
        reason: what is wrong in words of our own; the message may quote others.
    """

    def __init__(self, message: str, reason: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason or message


@dataclass(frozen=True)
class RegisteredVersion:
    """A version as the registry describes it.

    Attributes:
        version: its number, from 1.
        tags: only those in TAGS; "content_key" is the digest of its bundle.
        metrics: those of its logged model, without NaN and infinity.
    """

    version: int
    tags: Mapping[str, str]
    metrics: Mapping[str, float]

    @property
    def content_key(self) -> str | None:
        """The digest of its bundle; None for a version that modelyard did not publish."""
        found = self.tags.get(CONTENT_KEY)
        return found if is_content_key(found) else None

    @property
    def size_bytes(self) -> int | None:
        """The size of its content; None unless a tag has a plausible one."""
        return read_number(self.tags.get(SIZE_BYTES))


@dataclass(frozen=True)
class RegisteredModel:
    """A registered name: where its aliases point, and its versions by number, oldest first."""

    name: str
    aliases: Mapping[str, int]
    versions: Mapping[int, RegisteredVersion]

    def find(self, alias: str) -> RegisteredVersion | None:
        """Return the version that an alias points at, if there is one."""
        return self.versions.get(self.aliases.get(alias, 0))

    @property
    def is_ours(self) -> bool:
        """Whether modelyard has published a version of it."""
        return any(version.content_key for version in self.versions.values())


@dataclass(frozen=True)
class RegistryState:
    """What the registry said when it was last asked.

    Attributes:
        models: those that were asked for and exist, by name.
        others: all existing names, if one that was asked for is missing; else empty.
    """

    models: Mapping[str, RegisteredModel]
    others: tuple[str, ...] = field(default=())


def read_number(value: object) -> int | None:
    """Return a whole number of at most 15 digits, given as a number or text; None for anything else."""
    if isinstance(value, str) and re.fullmatch(f"[0-9]{{1,{MOST_DIGITS}}}", value):
        value = int(value)
    return value if isinstance(value, int) and 0 <= value < 10**MOST_DIGITS else None


def make_model(
    name: str, aliases: Mapping[Any, Any], versions: Iterable[RegisteredVersion]
) -> RegisteredModel:
    """Make a model of what a registry says, without versions and aliases that MLflow cannot have made."""
    known = {one.version: one for one in versions if 0 < one.version < HIGHEST_NUMBER}
    pointed = {alias: read_number(number) for alias, number in aliases.items() if is_plain(alias)}
    return RegisteredModel(name, {alias: number for alias, number in pointed.items() if number}, known)


def make_version(number: Any, tags: Mapping[Any, Any], metrics: Mapping[Any, Any]) -> RegisteredVersion:
    """Make a version of what a registry says, without anything too long, and without what JSON cannot hold.

    Its number is 0 if `number` is not one.
    """
    kept = {key: tags[key] for key in TAGS if is_plain(tags.get(key))}
    finite = {key: float(value) for key, value in metrics.items() if is_plain(key) and _is_finite(value)}
    return RegisteredVersion(read_number(number) or 0, kept, dict(list(finite.items())[:MOST_METRICS]))


def _is_finite(value: object) -> bool:
    return isinstance(value, float | int) and abs(value) < 1e300 and math.isfinite(value)
