"""Which version a request means, as the registry last described its models."""

from collections.abc import Sequence

from modelyard.registry.versions import CHAMPION
from modelyard.service.models.registry_state import RegisteredVersion, RegistryState

MOST_LISTED = 20


class UnknownModel(LookupError):  # noqa: N818  # nothing is wrong with the service
    """There is no such model, version or alias; the message names what there is."""


def find_version(
    state: RegistryState, name: str, version: int | None, alias: str | None
) -> RegisteredVersion:
    """Return the champion, or the version with a number or an alias; raise UnknownModel if there is none."""
    model = state.models.get(name)
    if model is None:
        raise UnknownModel(f"expected a model that is served, got {name!r} ({list_known(state)})")
    if version is None:
        found, known = model.find(alias or CHAMPION), sorted(model.aliases)
        asked = f"an alias, one of {_join(known)}, got {alias or CHAMPION!r}"
    else:
        found, known = model.versions.get(version), [str(number) for number in model.versions]
        asked = f"a version, one of {_join(known)}, got {version}"
    if found is None:
        raise UnknownModel(f"{name}: expected {asked}")
    return found


def find_alias(state: RegistryState, name: str, alias: str) -> RegisteredVersion | None:
    """Return the version with an alias, if there is one."""
    model = state.models.get(name)
    return model.find(alias) if model else None


def list_known(state: RegistryState) -> str:
    """Say which models there are."""
    return f"registered are: {_join(sorted({*state.models, *state.others}))}"


def _join(names: Sequence[str]) -> str:
    shown = ", ".join(names[-MOST_LISTED:])
    return f"..., {shown}" if len(names) > MOST_LISTED else shown or "none"
