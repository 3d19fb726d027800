"""Pictures of digits with their labels: kept in a file, and split in two."""

import hashlib
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modelyard.errors import ModelyardError
from modelyard.files import replace_file

CLASSES = 10
SIDE_PIXELS = 28


@dataclass(frozen=True, eq=False)
class Digits:
    """Grey pictures, light on dark, each with the digit it shows.

    Attributes:
        images: uint8 (n, 28, 28), 0 is the background.
        labels: uint8 (n,), 0..9.

    Raises:
        ModelyardError: a shape, a dtype or a label is another one.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]

    def __post_init__(self) -> None:
        """Refuse what is not digits."""
        images, labels = self.images, self.labels
        if images.dtype != np.uint8 or images.shape[1:] != (SIDE_PIXELS, SIDE_PIXELS):
            raise ModelyardError(f"images: expected uint8 (n, 28, 28), got {images.dtype} {images.shape}")
        if labels.dtype != np.uint8 or labels.shape != images.shape[:1]:
            expected = f"uint8 ({len(images)},)"
            raise ModelyardError(f"labels: expected {expected}, got {labels.dtype} {labels.shape}")
        if labels.size and labels.max() >= CLASSES:
            raise ModelyardError(f"labels: expected 0..9, got {labels.max()}")

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    @cached_property
    def digest(self) -> str:
        """SHA-256 in hex over shape and raw bytes of images, then of labels."""
        digest = hashlib.sha256()
        for array in (self.images, self.labels):
            digest.update(repr(array.shape).encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def take(self, indices: NDArray[np.intp]) -> "Digits":
        """Return the digits at `indices`, in their order."""
        return Digits(self.images[indices], self.labels[indices])


def write_digits(path: Path, digits: Digits) -> None:
    """Write a .npz with the arrays `images` and `labels`; the same digits give the same bytes."""
    with replace_file(path) as new, new.open("wb") as file:
        np.savez(file, images=digits.images, labels=digits.labels)


def read_digits(path: Path) -> Digits:
    """Read what `write_digits` wrote; nothing in the file is run.

    Raises:
        ModelyardError: the file is missing, is no such .npz, or holds something else than digits.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Digits(arrays["images"], arrays["labels"])
    except FileNotFoundError:
        raise ModelyardError(f"{path} is missing: `dvc repro download` makes it") from None
    except (KeyError, ValueError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise ModelyardError(f"{path}: expected a .npz with images and labels, got: {error}") from None
    except ModelyardError as error:
        raise ModelyardError(f"{path}: {error}") from None


def split(digits: Digits, validation_images: int, seed: int) -> tuple[Digits, Digits]:
    """Take a validation split out of the training images, the same share of every digit.

    Args:
        digits: all training images.
        validation_images: how many to take in all; what does not divide goes to the classes with the largest
            remainder, the smaller digit first.
        seed: another seed takes other images.

    Returns:
        What remains for training, and the validation split; both in the order of `digits`.

    Raises:
        ModelyardError: nothing would be left to train on.
    """
    if not 0 <= validation_images < len(digits):
        expected = f"expected less than the {len(digits)} training images, got {validation_images}"
        raise ModelyardError(f"data.validation_images: {expected}")
    random = np.random.default_rng(seed)
    chosen = np.zeros(len(digits), dtype=bool)
    for label, count in enumerate(_quotas(digits.labels, validation_images)):
        chosen[random.permutation(np.flatnonzero(digits.labels == label))[:count]] = True
    return digits.take(np.flatnonzero(~chosen)), digits.take(np.flatnonzero(chosen))


def _quotas(labels: NDArray[np.uint8], total: int) -> NDArray[np.int64]:
    """Share `total` among the classes by their size: the largest remainders are rounded up."""
    sizes = np.bincount(labels, minlength=CLASSES).astype(np.int64)
    quotas, remainders = np.divmod(sizes * total, len(labels))
    quotas[np.argsort(-remainders, kind="stable")[: total - quotas.sum()]] += 1
    return quotas
