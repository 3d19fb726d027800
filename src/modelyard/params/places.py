"""Each value of conf/ in one place: with a second place, editing the first would have no effect."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from modelyard.errors import ModelyardError
from modelyard.nesting import flatten

PRIMARY = "config.yaml"
# The first line of a file with values of several groups.
GLOBAL = "# @package _global_"
MOST_TOLD = 10


def refuse_second_places(conf: Path) -> None:
    """Raise a ModelyardError, with both files, for each value that is in a file of a group and in another.

    The others are presets and config.yaml. A file may change what it takes by its own `defaults` list from a
    file whose name begins with `_`.
    """
    places: dict[str, Path] = {}
    faults: list[str] = []
    for file in _list_files(conf):
        for key in _read_keys(conf, file):
            other = next((places[one] for one in places if _overlap(one, key)), None)
            if other is not None and other.parent != file.parent:
                faults.append(
                    f"{key}: in {conf.name}/{other.relative_to(conf)} and in {file.relative_to(conf)}"
                )
            places.setdefault(key, file)
    if faults:
        raise ModelyardError(
            f"expected each value of {conf.name}/ in one file, {len(faults)} are in two; remove each from "
            "one of them:\n  " + "\n  ".join(faults[:MOST_TOLD])
        )


def _list_files(conf: Path) -> Iterator[Path]:
    """Yield the files of groups first, then presets, then the primary file."""
    files = sorted(conf.glob("*/*.yaml"))
    yield from sorted(files, key=lambda file: file.read_text().startswith(GLOBAL))
    yield conf / PRIMARY


def _read_keys(conf: Path, file: Path) -> Iterator[str]:
    try:
        values: dict[str, Any] = yaml.safe_load(file.read_text()) or {}
    except yaml.YAMLError as error:
        raise ModelyardError(f"{file}: expected YAML: {error}") from None
    values.pop("defaults", None)
    whole = file.parent == conf or file.read_text().startswith(GLOBAL)
    yield from flatten(values if whole else {file.parent.name: values}, ".")


def _overlap(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")
