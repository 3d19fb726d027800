"""params.yaml is composed, never edited by hand: an edit is found, and refused before it is overwritten."""

import hashlib
from pathlib import Path
from typing import Any

import yaml

from modelyard.errors import ModelyardError


def refuse_hand_edit(params: Path, lock: Path, composed: dict[str, Any]) -> None:
    """Raise when `params` holds something that nobody but an editor can have put there.

    What DVC recorded in `lock` when it last composed (by `dvc repro` or by `dvc exp run`) is no hand edit,
    nor is a file that says what conf/ says.

    Args:
        params: the composed file; it may be missing.
        lock: dvc.lock; it may be missing.
        composed: what conf/ gives now.

    Raises:
        ModelyardError: naming every key whose value would be lost, with both values.
    """
    if not params.exists():
        return
    content = params.read_bytes()
    if hashlib.md5(content, usedforsecurity=False).hexdigest() == _recorded_md5(lock, params.name):
        return
    try:
        edited = yaml.safe_load(content)
    except yaml.YAMLError as error:
        raise ModelyardError(
            f"{params} was edited by hand and is no YAML any more: {error}\n{ADVICE}"
        ) from None
    lines = list(_differences(edited, composed))
    if lines:
        raise ModelyardError(f"{params} was edited by hand:\n  " + "\n  ".join(lines) + f"\n{ADVICE}")


ADVICE = (
    "Put the value into conf/ (or pass it: dvc exp run -S KEY=VALUE), then `git checkout HEAD params.yaml`, "
    "and run again."
)


def _recorded_md5(lock: Path, name: str) -> str | None:
    if not lock.exists():
        return None
    stages = (yaml.safe_load(lock.read_text()) or {}).get("stages", {})
    outs = stages.get("compose", {}).get("outs", [])
    return next((out.get("md5") for out in outs if out["path"] == name), None)


def _differences(edited: Any, composed: Any, key: str = "") -> list[str]:
    if isinstance(edited, dict) and isinstance(composed, dict):
        names = dict.fromkeys([*composed, *edited])
        return [
            line
            for name in names
            for line in _differences(edited.get(name), composed.get(name), f"{key}.{name}".lstrip("."))
        ]
    return [] if edited == composed else [f"{key}: conf/ says {composed!r}, params.yaml says {edited!r}"]
