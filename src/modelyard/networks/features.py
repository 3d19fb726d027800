"""A file of features by the pictures' keys: what a network on features sees in place of pixels."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from modelyard.arrays import write_arrays
from modelyard.errors import ModelyardError
from modelyard.images.examples import Examples, Split, read_examples
from modelyard.images.pictures import Pictures, open_arrays, read_pictures
from modelyard.inference.bundle import Preprocessing
from modelyard.params import Precision

Floats: TypeAlias = NDArray[np.float32]
STAGE = "features"


@dataclass(frozen=True)
class Trunk:
    """The imported network up to its pooled features.

    `model` is LiteRT, from a fitted picture (1, h, w, c), 0..255, to features (1, width).
    """

    model: bytes
    precision: Precision
    preprocessing: Preprocessing
    provenance: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256, in hex, of the model and the preprocessing: the same digest gives the same features."""
        fitted = json.dumps(asdict(self.preprocessing), sort_keys=True).encode()
        return hashlib.sha256(self.model + fitted).hexdigest()


@dataclass(frozen=True, eq=False)
class Features:
    """The features, (width,), of each picture by its key, and the trunk that computed them."""

    rows: Mapping[str, Floats]
    trunk: Trunk

    def examples(self, pictures: Pictures) -> Examples:
        """Return labelled features, float32 (n, width); raises ModelyardError if any are missing."""
        keys = [pictures.key(place) for place in range(len(pictures))]
        if missing := [place for place, key in enumerate(keys) if key not in self.rows]:
            raise ModelyardError(
                f"expected the features of {len(keys)} pictures, those of {len(missing)} are missing, "
                f"{pictures.name(missing[0])} first: `dvc repro {STAGE}`"
            )
        inputs = np.stack([self.rows[key] for key in keys]) if keys else np.zeros((0, 1), np.float32)
        return Examples(inputs, pictures.labels, len(pictures.classes))

    @property
    def lineage(self) -> dict[str, str]:
        """Tags for the run of a network that learns from these features."""
        about, trunk = self.trunk.provenance, self.trunk
        told = f"{about['name']} ({trunk.precision}) from {about['source']}, licence {about['licence']}"
        return {"features.digest": trunk.digest, "features.trunk": told}


def read_split(
    train: Path, validation: Path, source: Path, features: Features | None, images: int | None
) -> Split:
    """Return what a network learns from and is measured on: fitted pictures, or their features.

    There are features of the first `images` training pictures only (train.images); None means of all.
    """
    if features is None:
        return Split(read_examples(train), read_examples(validation))
    training, measured = (read_pictures(path, source) for path in (train, validation))
    chosen = training.take(np.arange(len(training))[:images])
    return Split(features.examples(chosen), features.examples(measured), features.lineage)


def write_features(path: Path, features: Features) -> None:
    """Write a .npz; the same features give the same bytes."""
    trunk, keys = features.trunk, sorted(features.rows)
    about = {
        "precision": trunk.precision,
        "preprocessing": asdict(trunk.preprocessing),
        "provenance": trunk.provenance,
    }
    arrays = {
        "keys": np.array(keys, dtype="U64"),
        "rows": np.stack([features.rows[key] for key in keys]) if keys else np.zeros((0, 0), np.float32),
        "trunk": np.frombuffer(trunk.model, np.uint8),
        "about": np.array(json.dumps(about)),
    }
    write_arrays(path, arrays, compressed=False)


def write_no_features(path: Path) -> None:
    """Write an empty file of features, for a model that takes pixels."""
    write_features(path, Features({}, Trunk(b"", "float32", Preprocessing("smooth", 1, 1, 3), {})))


def read_features(path: Path) -> Features:
    """Read what `write_features` wrote, without pickle; raises ModelyardError if it is not that."""
    with open_arrays(path, STAGE) as arrays:
        keys, rows = arrays["keys"], arrays["rows"]
        if rows.dtype != np.float32 or rows.ndim != 2 or len(rows) != len(keys):
            raise ValueError(f"float32 ({len(keys)}, width) as features, got {rows.dtype} {rows.shape}")
        if not np.isfinite(rows).all():
            raise ValueError("finite features, got NaN or infinity")
        about = json.loads(str(arrays["about"]))
        preprocessing = Preprocessing(**about["preprocessing"])
        trunk = Trunk(arrays["trunk"].tobytes(), about["precision"], preprocessing, about["provenance"])
        return Features(dict(zip(map(str, keys), rows, strict=True)), trunk)
