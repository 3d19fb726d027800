"""Where a run comes from, as tags: code, data, parameters, pipeline, libraries."""

import getpass
import hashlib
import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

from modelyard.repository import read_git_state

LIBRARIES = ("tensorflow", "keras", "ai-edge-litert", "numpy", "pillow", "mlflow", "dvc")


def lineage_tags(folder: Path) -> dict[str, str]:
    """Return every run's tags, which are among the facts of versions too, for the work tree at `folder`.

    Empty values are left out. In one of DVC's experiments, the commit is its baseline.
    """
    git = read_git_state(folder)
    tags = {
        "mlflow.source.git.commit": git.commit,
        "mlflow.source.name": "dvc repro",
        "mlflow.source.type": "LOCAL",
        "mlflow.user": getpass.getuser(),
        "git.commit": git.commit,
        "git.dirty": str(git.dirty).lower() if git.commit else "",
        "dvc.stage": os.environ.get("DVC_STAGE", ""),
        "dvc.experiment": os.environ.get("DVC_EXP_NAME", ""),
        "dvc.baseline": os.environ.get("DVC_EXP_BASELINE_REV", ""),
        "libraries": ", ".join(f"{name} {version(name)}" for name in LIBRARIES),
    }
    return {name: value for name, value in tags.items() if value}


def digest(values: Any) -> str:
    """Return the sha256, in hex, of plain values; the order of keys does not matter."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
