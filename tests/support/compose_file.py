"""A compose file, read as `docker compose` reads it, as far as this project uses it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::(?P<kind>[-?])(?P<text>[^}]*))?\}")


def read_compose(path: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the file's values, with `${NAME}`, `${NAME:-default}` and `${NAME:?message}` filled in.

    Raises:
        ValueError: a variable without a default is missing, or its form is not understood here.
    """
    filled: dict[str, Any] = _fill(yaml.safe_load(path.read_text()), environment)
    return filled


def read_variables(path: Path) -> dict[str, str]:
    """Return what a file of `NAME=value` lines sets."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def _fill(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _fill(one, environment) for name, one in value.items()}
    if isinstance(value, list):
        return [_fill(one, environment) for one in value]
    if not isinstance(value, str):
        return value
    filled = _VARIABLE.sub(lambda match: _look_up(match, environment), value)
    if "$" in filled:
        raise ValueError(f"expected ${{NAME}} with :- or :?, got {value!r}")
    return filled


def _look_up(match: re.Match[str], environment: Mapping[str, str]) -> str:
    value = environment.get(match["name"], "")
    if value or match["kind"] == "-":
        return value or match["text"]
    raise ValueError(f"{match['name']} is not set: {match['text'] or 'it has no default'}")
