"""params.yaml is composed: an edit by hand is found, and refused before it is overwritten."""

import hashlib
from pathlib import Path
from typing import Any

import yaml

from modelyard.errors import ModelyardError
from modelyard.stages.experiments import compare_values, name_choices


def read_unedited(params: Path, lock: Path, composed: dict[str, Any]) -> dict[str, Any]:
    """Return the values of `params` that DVC recorded in `lock`; refuse a file that was edited by hand.

    `dvc repro` and `dvc exp run` record what they composed. {} stands for no recorded values: there is no
    file, or it holds what conf/ gives now (`composed`) and was not recorded yet. The ModelyardError names the
    values that would be lost, and those of conf/.
    """
    if not params.exists():
        return {}
    content = params.read_bytes()
    recorded = hashlib.md5(content, usedforsecurity=False).hexdigest() == _recorded_md5(lock, params.name)
    fault = f"{params} was edited by hand"
    try:
        values = yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise ModelyardError(f"{fault} and is not YAML any more: {error}\n{ADVICE}") from None
    if not isinstance(values, dict):
        raise ModelyardError(f"{fault}, expected groups of values, got {values!r}\n{ADVICE}")
    if recorded:
        return values
    if edits := compare_values(composed, values):
        lines = name_choices(edits)
        raise ModelyardError(f"{fault}:\n  " + "\n  ".join(lines) + f"\n{ADVICE}")
    return {}


ADVICE = (
    "Put the value into conf/ (or pass it: dvc exp run -S KEY=VALUE), then `git checkout HEAD params.yaml`, "
    "and run again."
)


def kept_params(params: Path) -> Path:
    """Return where `params` is kept while `dvc exp run` tries others; Git ignores the folder."""
    return params.parent / ".dvc" / "tmp" / "params.before.yaml"


def _recorded_md5(lock: Path, name: str) -> str | None:
    if not lock.exists():
        return None
    stages = (yaml.safe_load(lock.read_text()) or {}).get("stages", {})
    outs = stages.get("compose", {}).get("outs", [])
    return next((out.get("md5") for out in outs if out["path"] == name), None)
