"""Datasets made by tests: described as their files in conf/data do it, with pictures of noise."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modelyard.params import FolderDataset, IdxDataset

COMMON: dict[str, Any] = {
    "name": "made",
    "licence": "CC0",
    "homepage": None,
    "input": {"fit": "smooth", "height": 8, "width": 8, "channels": 1},
    "validation": 10,
    "seed": 0,
    "samples": 10,
    "card": {"about": "a", "intended_use": ["b"], "limits": ["c"], "data": "d", "published": None},
    "gate": {
        "metrics": {"test/accuracy": {"min": "majority"}},
        "max_accuracy_drop": None,
        "allow_dirty": False,
    },
}


def describe_idx(**changed: Any) -> IdxDataset:
    """Describe four IDX files of ten classes; `sha256` has to be given."""
    idx = {
        "format": "idx",
        "classes": [str(digit) for digit in range(10)],
        "path": None,
        "on_unreadable": "stop",
        "test": None,
        "sources": [],
        "connect_timeout_s": 5.0,
        "read_timeout_s": 5.0,
    }
    return IdxDataset.model_validate(COMMON | idx | changed)


def describe_folder(**changed: Any) -> FolderDataset:
    """Describe a folder of pictures, which the messages call `mine`."""
    folder = {
        "format": "folder",
        "classes": None,
        "path": "mine",
        "validation": 0.2,
        "test": 0.2,
        "on_unreadable": "stop",
    }
    return FolderDataset.model_validate(COMMON | folder | changed)


def make_levels(count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Make grey noise, 8x9; no two pictures are the same."""
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 9), dtype=np.uint8)


def write_files(folder: Path, files: Mapping[str, NDArray[np.uint8] | bytes]) -> tuple[str, ...]:
    """Write files below a folder: bytes as they are, pixels as what the name's end says, or PNG."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            kind = "JPEG" if path.suffix == ".jpg" else "PNG"
            Image.fromarray(content).save(path, format=kind)
    return tuple(files)
