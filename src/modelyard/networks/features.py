"""Features of digits in a file: what a network sees in the place of their pixels."""

import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.images.dataset import SIDE_PIXELS
from modelyard.errors import ModelyardError
from modelyard.files import replace_file
from modelyard.networks.convert import Precision
from modelyard.images.examples import Examples, Split

WIDTH = 2048
Floats = NDArray[np.float32]
_MAKE = "run `dvc repro features`"


@dataclass(frozen=True)
class Origin:
    """What computed the features.

    Attributes:
        model: the trunk as LiteRT, from a digit, float32 (1, 28, 28, 1), 0..255, to features (1, WIDTH).
        precision: of its weights.
        provenance: of the imported network, plain JSON values; empty where there are no features.
    """

    model: bytes
    precision: Precision
    provenance: dict[str, Any]


def write_features(path: Path, pictures: Split, training: Floats, validation: Floats, origin: Origin) -> None:
    """Write features, labels and trunk as a .npz; the same ones give the same bytes.

    Args:
        path: of the file.
        pictures: the digits.
        training: their features, float32 (n, WIDTH).
        validation: as well.
        origin: what computed them.
    """
    parts = {"training": (pictures.training, training), "validation": (pictures.validation, validation)}
    about = {"precision": origin.precision, "provenance": origin.provenance}
    arrays: dict[str, NDArray[Any]] = {
        "trunk": np.frombuffer(origin.model, np.uint8),
        "about": np.array(json.dumps(about)),
    }
    for part, (digits, rows) in parts.items():
        arrays |= {part: rows, f"{part}_labels": digits.labels}
        arrays[f"{part}_digits"] = np.array(digest_pictures(digits))
    with replace_file(path) as new, new.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def write_no_features(path: Path) -> None:
    """Write the features of no digits, for a model that takes pixels."""
    none = Examples(np.zeros((0, SIDE_PIXELS, SIDE_PIXELS, 1), np.uint8), np.zeros(0, np.uint8))
    rows = np.zeros((0, WIDTH), np.float32)
    write_features(path, Split(none, none), rows, rows, Origin(b"", "float32", {}))


def read_features(path: Path, training: Examples | None, validation: Examples) -> Split:
    """Read the features that `write_features` wrote; nothing in the file is run.

    Args:
        path: of the file.
        training: the digits whose features are expected; None where they do not matter.
        validation: as well.

    Returns:
        The features, float32 (n, WIDTH), with the digits' labels, and as lineage the network that computed
        them, and a digest of the file.

    Raises:
        ModelyardError: the file is missing, holds something else, or the features of other digits.
    """
    with _arrays(path) as arrays:
        parts = _read_part(arrays, "training", training), _read_part(arrays, "validation", validation)
        origin = _read_origin(arrays)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    about = origin.provenance
    trunk = f"{about['name']} ({origin.precision}) from {about['source']}, licence {about['licence']}"
    return Split(*parts, {"features.digest": digest, "features.trunk": trunk})


def read_origin(path: Path) -> Origin:
    """Read what computed the features.

    Raises:
        ModelyardError: the file is missing, or holds something else.
    """
    with _arrays(path) as arrays:
        return _read_origin(arrays)


@contextmanager
def _arrays(path: Path) -> Iterator[Mapping[str, NDArray[Any]]]:
    """Open the file, and say of every error in the body where it is and what to do."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            yield arrays
    except FileNotFoundError:
        raise ModelyardError(f"{path} is missing: {_MAKE}") from None
    except (KeyError, ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise ModelyardError(f"{path}: expected a .npz with features, got: {error}: {_MAKE}") from None
    except ModelyardError as error:
        raise ModelyardError(f"{path}: {error}: {_MAKE}") from None


def _read_origin(arrays: Mapping[str, NDArray[Any]]) -> Origin:
    about = json.loads(str(arrays["about"]))
    return Origin(arrays["trunk"].tobytes(), about["precision"], about["provenance"])


def digest_pictures(pictures: Examples) -> str:
    """Return a sha256, in hex, over pixels and labels."""
    digest = hashlib.sha256()
    for array in (pictures.inputs, pictures.labels):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _read_part(arrays: Mapping[str, NDArray[Any]], part: str, digits: Examples | None) -> Examples:
    rows, labels = arrays[part], arrays[f"{part}_labels"]
    if digits is not None and len(rows) != len(digits):
        raise ModelyardError(f"expected the features of {len(digits)} {part} images, got {len(rows)}")
    if rows.dtype != np.float32 or rows.shape[1:] != (WIDTH,):
        raise ModelyardError(f"{part}: expected float32 (n, {WIDTH}), got {rows.dtype} {rows.shape}")
    if not np.isfinite(rows).all():
        raise ModelyardError(f"{part}: expected numbers, got NaN or infinity")
    if digits is not None and digest_pictures(digits) != str(arrays[f"{part}_digits"]):
        raise ModelyardError(f"expected the features of the {part} images, got those of others")
    return Examples(rows, labels)
