"""A Python environment with nothing but what some requirements need, out of what is installed here."""

import sys
import venv
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement


def make_environment(folder: Path, requirements: Iterable[str]) -> Path:
    """Make it of links, in a second, where pip takes a minute; return its Python.

    Raises:
        AssertionError: what is installed here does not meet a requirement.
    """
    venv.create(folder, with_pip=False)
    packages = folder / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    installed = find_distributions(requirements)
    # Some have files in common. Commands and manual pages lie elsewhere, in "..".
    files = {file: one for one in installed for file in one.files or [] if file.parts[0] != ".."}
    for directory in {packages / file.parent for file in files}:
        directory.mkdir(parents=True, exist_ok=True)
    for file, one in files.items():
        (packages / file).symlink_to(one.locate_file(file))
    return folder / "bin/python"


def find_distributions(requirements: Iterable[str]) -> list[Distribution]:
    """Return what meets the requirements, and what that requires in turn."""
    found: dict[tuple[str, ...], Distribution] = {}
    left = [(Requirement(line), "") for line in requirements]
    while left:
        needed, extra = left.pop()
        if needed.marker is None or needed.marker.evaluate({"extra": extra}):
            installed = distribution(needed.name)
            assert needed.specifier.contains(installed.version, prereleases=True), (
                f"expected {needed}, {installed.version} is installed"
            )
            key = (installed.name, *sorted(needed.extras))
            if key not in found:
                found[key] = installed
                deeper = [Requirement(line) for line in installed.requires or []]
                left += [(one, extra) for one in deeper for extra in ("", *needed.extras)]
    return list({one.name: one for one in found.values()}.values())
