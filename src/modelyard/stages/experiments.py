"""The values of an experiment that differ from conf/: params.yaml records them until conf/ changes one."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from modelyard.inference.plain_text import show

# The key in params.yaml: {"train.epochs": {"conf": 2, "here": 3}}.
RECORD = "experiment"
MOST_NAMED = 10
LONGEST = 60

Differences = Mapping[str, Mapping[str, Any]]


def compare_values(conf: Mapping[str, Any], here: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return every value that differs between conf/ and params.yaml, `here`, under its dotted key.

    A side that lacks the key is left out. A list is one value. The record of an experiment does not count.
    """
    sides = {"conf": _flatten(conf), "here": _flatten(here)}
    keys = dict.fromkeys(key for values in sides.values() for key in values)
    compared = {
        key: {side: values[key] for side, values in sides.items() if key in values}
        for key in keys
        if key[0] != RECORD
    }
    return {
        ".".join(key): values
        for key, values in compared.items()
        if len(values) < len(sides) or values["conf"] != values["here"]
    }


def follow_conf(conf: dict[str, Any], before: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the new content of params.yaml, and lines about the experiment that it holds.

    The values of an experiment in `before` are kept until conf/ changes one of them; then all are dropped.
    """
    record: Differences = before.get(RECORD) or {}
    chosen = {key: told for key, told in compare_values(conf, before).items() if key in record}
    now = {".".join(key): value for key, value in _flatten(conf).items()}
    changed = next((key for key, told in record.items() if _pick(told, "conf") != _pick(now, key)), None)
    if changed is None:
        lines = [f"kept from the applied experiment: {line}" for line in name_choices(chosen)]
        return _apply_record(conf, before, chosen) | {RECORD: chosen}, lines
    if not chosen:
        # conf/ now says what the experiment chose.
        return conf | {RECORD: {}}, []
    reason = f"conf/ has changed {changed} from {_pick(record[changed], 'conf')} to {_pick(now, changed)}"
    lines = [f"given up from the applied experiment: {line}" for line in name_choices(chosen)]
    return conf | {RECORD: {}}, [f"{reason}: the applied experiment ends", *lines]


def name_choices(record: Differences) -> list[str]:
    """Return a line for each of the first ten values of an experiment, and how many more there are."""
    lines = [
        f"{key}={show(_pick(told, 'here'), LONGEST)} (conf/ says {show(_pick(told, 'conf'), LONGEST)})"
        for key, told in record.items()
    ]
    more = len(lines) - MOST_NAMED
    return lines[:MOST_NAMED] + ([f"and {more} more"] if more > 0 else [])


def _apply_record(conf: dict[str, Any], before: Mapping[str, Any], record: Differences) -> dict[str, Any]:
    """Return the values of `conf`, with those of `before` wherever the record has a key."""
    here = {key: value for key, value in _flatten(before).items() if ".".join(key) in record}
    flat = {key: value for key, value in _flatten(conf).items() if ".".join(key) not in record or key in here}
    values: dict[str, Any] = {}
    for key, value in (flat | here).items():
        _find_group(values, key)[key[-1]] = deepcopy(value)
    return values


def _find_group(values: dict[str, Any], key: tuple[str, ...]) -> dict[str, Any]:
    for name in key[:-1]:
        values = values.setdefault(name, {})
    return values


def _flatten(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Return every value under the names that lead to it; an empty mapping is a value."""
    flat: dict[tuple[str, ...], Any] = {}
    for name, value in values.items():
        key = (*above, str(name))
        flat |= _flatten(value, key) if isinstance(value, Mapping) and value else {key: value}
    return flat


def _pick(values: Mapping[str, Any], name: str) -> str:
    return repr(values[name]) if name in values else "nothing"
