"""The repository a stage runs in: its root, and the state Git sees."""

import os
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from modelyard.errors import ModelyardError

# What the stages run; other files do not change what they make.
CODE = ("src", "pipelines", "dvc.yaml", "pyproject.toml", "requirements*.txt")
# A new file here, such as a sweep's preset, does not count: params.yaml has the values in use.
VALUES = "conf"


@dataclass(frozen=True)
class GitState:
    """The commit of HEAD, empty without Git, and whether what the stages read differs from it."""

    commit: str
    dirty: bool


def find_root() -> Path:
    """Return the root that outlives this run: DVC_ROOT if set, else the nearest folder with dvc.yaml.

    A queued experiment of `dvc exp run` runs in a copy below the root, which is deleted afterwards.
    """
    if root := os.environ.get("DVC_ROOT"):
        return Path(root)
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "dvc.yaml").is_file():
            return folder
    raise ModelyardError(f"no dvc.yaml in {here} or above it: run this inside the repository")


def locate(path: str, key: str, expected: str) -> Path:
    """Return a place of this machine that conf/ names by `key`; `~` is the home.

    A relative path is looked for in the working directory, then in the root: in an experiment these
    differ. Raises ModelyardError, with what was `expected`, if it is missing.
    """
    named = Path(path)
    with suppress(RuntimeError):  # no such user
        named = named.expanduser()
    places = [named] if named.is_absolute() else [Path.cwd() / named, find_root() / named]
    for place in places:
        if place.exists():
            return place
    listed = " and no ".join(dict.fromkeys(map(str, places)))
    raise ModelyardError(f"{key}: expected {expected}, but there is no {listed}")


def read_git_state(folder: Path) -> GitState:
    """Ask Git for HEAD, and for changes in the tree of `folder`: to code, also by new files; to conf/."""
    changed = _git(folder, "status", "--porcelain", "--", *CODE) or _git(
        folder, "status", "--porcelain", "--untracked-files=no", "--", VALUES
    )
    return GitState(_git(folder, "rev-parse", "HEAD"), dirty=bool(changed))


def _git(folder: Path, *arguments: str) -> str:
    try:
        result = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return result.stdout.rstrip() if result.returncode == 0 else ""
