"""What the MLflow registry says of the models that are served, in plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelyard.errors import ModelyardError
from modelyard.registry.versions import CONTENT_KEY


class SourceError(ModelyardError):
    """The registry does not answer, or does not give what it should; the message says which and why."""


@dataclass(frozen=True)
class RegisteredVersion:
    """A version as the registry describes it.

    Attributes:
        version: its number, from 1.
        tags: as they were set; "content_key" is the digest of its bundle.
        metrics: those of its logged model by name; NaN and infinity are left out.
    """

    version: int
    tags: Mapping[str, str]
    metrics: Mapping[str, float]

    @property
    def content_key(self) -> str | None:
        """The digest of its bundle; None for a version that modelyard did not publish."""
        return self.tags.get(CONTENT_KEY)


@dataclass(frozen=True)
class RegisteredModel:
    """A registered name: where its aliases point, and its versions by number, oldest first."""

    name: str
    aliases: Mapping[str, int]
    versions: Mapping[int, RegisteredVersion]

    def find(self, alias: str) -> RegisteredVersion | None:
        """Return the version that an alias names, where there is one."""
        return self.versions.get(self.aliases.get(alias, 0))

    @property
    def is_ours(self) -> bool:
        """Whether modelyard has published a version of it."""
        return any(version.content_key for version in self.versions.values())


@dataclass(frozen=True)
class RegistryState:
    """What the registry said when it was last asked.

    Attributes:
        models: those asked for that there are, by name.
        others: all names there are, when one that was asked for is missing; else empty.
    """

    models: Mapping[str, RegisteredModel]
    others: tuple[str, ...] = field(default=())
