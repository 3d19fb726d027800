"""Nested values under one name each, as MLflow lists them."""

from collections.abc import Mapping
from typing import Any


def flatten(values: Mapping[str, Any], separator: str) -> dict[str, Any]:
    """Join the keys of nested mappings: with "/", {"test": {"accuracy": 1}} is {"test/accuracy": 1}."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}{separator}{below}": inner for below, inner in flatten(value, separator).items()}
        else:
            flat[name] = value
    return flat
