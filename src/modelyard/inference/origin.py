"""Where a bundle came from: its network and its commit, for people."""

from typing import Any

from modelyard.inference.bundle import Bundle
from modelyard.inference.plain_text import is_plain

# Where a bundle's provenance has the name of its network.
_NETWORK = (("training", "run", "params", "model.name"), ("source", "name"))
_TAGS = ("training", "run", "tags")
_SHORT = 7


def name_network(bundle: Bundle) -> str | None:
    """Return the name in conf/ of the trained or imported network; None if it is unknown."""
    found = (_dig(bundle.provenance, *path) for path in _NETWORK)
    return next((name for name in found if isinstance(name, str) and is_plain(name)), None)


def describe_network(network: str | None, precision: str | None, model: str) -> str:
    """Return a network in a word or two, such as `cnn` or `cnn int8`.

    An imported one may be called as its model is, which is not said twice.
    """
    named = network if network != model else None
    shown = (named, precision if precision != "float32" or not named else None)
    return " ".join(filter(None, shown))


def describe_origin(bundle: Bundle) -> str:
    """Return the model, its network, and the commit it was trained at: `mnist, cnn, commit cbd462f`."""
    known = [bundle.name, describe_network(name_network(bundle), bundle.precision, bundle.name)]
    commit, dirty = (_dig(bundle.provenance, *_TAGS, f"git.{what}") for what in ("commit", "dirty"))
    if isinstance(commit, str) and is_plain(commit):
        known.append(f"commit {commit[:_SHORT]}{' with changes' if dirty == 'true' else ''}")
    return ", ".join(known)


def _dig(value: Any, *keys: str) -> Any:
    """Return the value below nested keys, else None; anybody may have written the provenance."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value
