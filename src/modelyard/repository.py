"""The repository a stage runs in: its root, and the state Git sees."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from modelyard.errors import ModelyardError

# The pipeline writes these while it runs; a change in them is no edit of anybody's.
WRITTEN_BY_STAGES = ("dvc.lock", "params.yaml", "reports/")


@dataclass(frozen=True)
class GitState:
    """The commit that HEAD names, empty without Git, and whether anything differs from it."""

    commit: str
    dirty: bool


def find_root() -> Path:
    """Return the root that outlives this run: DVC_ROOT where DVC sets it, else the parent that has dvc.yaml.

    An experiment of `dvc exp run --queue` runs in a copy below the root, which is gone afterwards.
    """
    if root := os.environ.get("DVC_ROOT"):
        return Path(root)
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "dvc.yaml").is_file():
            return folder
    raise ModelyardError(f"no dvc.yaml in {here} or above it: run this inside the repository")


def read_git_state(folder: Path) -> GitState:
    """Ask Git for HEAD and for changes, untracked files among them, in the work tree of `folder`."""
    commit = _git(folder, "rev-parse", "HEAD")
    changed = _git(folder, "status", "--porcelain").splitlines()
    return GitState(commit, dirty=any(not line[3:].startswith(WRITTEN_BY_STAGES) for line in changed))


def _git(folder: Path, *arguments: str) -> str:
    result = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    return result.stdout.rstrip() if result.returncode == 0 else ""
