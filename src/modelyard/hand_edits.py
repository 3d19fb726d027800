"""params.yaml is composed, never edited by hand: an edit is found, and refused before it is overwritten."""

import hashlib
from pathlib import Path
from typing import Any

import yaml

from modelyard.errors import ModelyardError
from modelyard.experiments import compare_values, name_choices


def read_unedited(params: Path, lock: Path, composed: dict[str, Any]) -> dict[str, Any]:
    """Return what DVC recorded of `params`, and refuse what nobody but an editor can have put there.

    What DVC recorded in `lock` when it last composed (by `dvc repro` or by `dvc exp run`) is no hand edit,
    nor is a file that says what conf/ says. Of the latter, and where there is no file, nothing is returned.

    Args:
        params: the composed file; it may be missing.
        lock: dvc.lock; it may be missing.
        composed: what conf/ gives now.

    Raises:
        ModelyardError: naming the values that would be lost, and those of conf/.
    """
    if not params.exists():
        return {}
    content = params.read_bytes()
    recorded = hashlib.md5(content, usedforsecurity=False).hexdigest() == _recorded_md5(lock, params.name)
    try:
        values = yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise ModelyardError(
            f"{params} was edited by hand and is no YAML any more: {error}\n{ADVICE}"
        ) from None
    if not isinstance(values, dict):
        raise ModelyardError(
            f"{params} was edited by hand, expected groups of values, got {values!r}\n{ADVICE}"
        )
    edits = {} if recorded else compare_values(composed, values)
    if edits:
        lines = name_choices(edits)
        raise ModelyardError(f"{params} was edited by hand:\n  " + "\n  ".join(lines) + f"\n{ADVICE}")
    return values if recorded else {}


ADVICE = (
    "Put the value into conf/ (or pass it: dvc exp run -S KEY=VALUE), then `git checkout HEAD params.yaml`, "
    "and run again."
)


def kept_params(params: Path) -> Path:
    """Return where `params` is kept while `dvc exp run` tries others; DVC keeps the folder out of Git."""
    return params.parent / ".dvc" / "tmp" / "params.before.yaml"


def _recorded_md5(lock: Path, name: str) -> str | None:
    if not lock.exists():
        return None
    stages = (yaml.safe_load(lock.read_text()) or {}).get("stages", {})
    outs = stages.get("compose", {}).get("outs", [])
    return next((out.get("md5") for out in outs if out["path"] == name), None)
