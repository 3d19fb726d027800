"""Writes the files of a bundle, which `inference.bundle` reads; the same values give the same bytes."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from modelyard.files import replace_folder
from modelyard.inference.bundle import FORMATS, Bundle, BundleError, Label, Preprocessing, read_bundle
from modelyard.inference.bundle_files import LABELS, MODEL, PREPROCESSING, PROVENANCE


def write_bundle(
    folder: Path,
    *,
    model: bytes,
    name: str,
    precision: str,
    labels: Sequence[Label],
    preprocessing: Preprocessing,
    provenance: dict[str, Any],
) -> Bundle:
    """Write a bundle, whole or not at all, and read it back. An older bundle in `folder` is replaced.

    Raises BundleError if an argument makes no valid bundle, or `folder` holds something else.
    """
    if folder.exists() and not (folder / PROVENANCE).is_file() and any(folder.iterdir()):
        raise BundleError(f"{folder} holds files that are not a bundle: remove it, or name another folder")
    about = {"format": max(FORMATS), "name": name, "precision": precision, "provenance": provenance}
    files = {
        MODEL: model,
        LABELS: _to_json([asdict(label) for label in labels], LABELS),
        PREPROCESSING: _to_json(asdict(preprocessing), PREPROCESSING),
        PROVENANCE: _to_json(about, PROVENANCE),
    }
    with replace_folder(folder) as new:
        for file, content in files.items():
            (new / file).write_bytes(content)
        bundle = read_bundle(new)
    return replace(bundle, folder=folder)


def _to_json(value: Any, name: str) -> bytes:
    try:
        text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        return f"{text}\n".encode()
    except (TypeError, ValueError) as error:
        raise BundleError(f"{name} must hold plain, finite JSON values: {error}") from None
