"""The bundle: a folder with all that an answer needs, and where it came from.

`model.tflite`, `labels.json` and `preprocessing.json` decide what is answered: they are the content.
`provenance.json` says what it is called, in which precision, and how it was made.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelyard.inference.bundle_files import (
    CONTENT,
    LABELS,
    MODEL,
    PREPROCESSING,
    PROVENANCE,
    BundleError,
    open_file,
    read_json,
)
from modelyard.inference.plain_text import MOST_CHARACTERS, is_plain, show

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Bundle", "BundleError", "Label", "Preprocessing", "is_content_key", "read_bundle"]

# Format 1, which had kinds of pictures in the place of fits, is only read.
FORMATS = (1, 2)
# Of a mean and a scale: what float32 holds.
MOST_LEVELS = 1e38
# Characters of a wrong value in an error.
SHOWN = 60


def is_content_key(text: object) -> bool:
    """Say whether this is what a content key is: 64 lower-case hex digits."""
    return isinstance(text, str) and re.fullmatch("[0-9a-f]{64}", text) is not None


@dataclass(frozen=True)
class Label:
    """What one output of the model stands for; without a name the output is never answered.

    Attributes:
        name: the words, such as "giant panda".
        synset: the WordNet id, such as "n02510455", where there is one.
    """

    name: str | None
    synset: str | None = None


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes the model's input, float32 (1, height, width, channels), sides in pixels.

    Attributes:
        fit: one of `fits.FITS`, which brings the decoded pixels, 0..255, to the input's size.
        channels: 1 (grey) or 3 (RGB).
        mean: subtracted from every level of format 1's versions; later models do that themselves.
        scale: multiplied afterwards; as well.
    """

    fit: str
    height: int
    width: int
    channels: int
    mean: float = 0.0
    scale: float = 1.0

    def levels(self, ready: "NDArray[np.float32]") -> "NDArray[np.float32]":
        """Return the levels that the fit gave, 0..255, of inputs (..., h, w, c) as the model takes them."""
        unscaled = (self.mean, self.scale) == (0.0, 1.0)
        return ready if unscaled else ready / self.scale + self.mean


@dataclass(frozen=True)
class Bundle:
    """What `read_bundle` found in a folder.

    Attributes:
        name: the registered name, such as "mnist".
        precision: "float32" or "int8".
        labels: one for each output of the model, in its order.
        provenance: plain JSON values; not part of the content.
        content_key: sha256 in hex over the names and digests of the content.
        size_bytes: of the content.
    """

    folder: Path
    name: str
    precision: str
    labels: tuple[Label, ...]
    preprocessing: Preprocessing
    provenance: dict[str, Any]
    content_key: str
    size_bytes: int

    @property
    def model_path(self) -> Path:
        """The LiteRT model's file."""
        return self.folder / MODEL

    def read_model(self) -> bytes:
        """Return the LiteRT model; raises BundleError if its file is gone, or no regular file."""
        with open_file(self.model_path) as file:
            return file.read()

    def verify(self, content_key: str) -> None:
        """Raise BundleError unless the bundle holds what `content_key` stands for."""
        if self.content_key != content_key:
            raise BundleError(
                f"{self.folder}: expected content {content_key}, found {self.content_key}: "
                "it was changed after registration; get it again, or use another version",
                "it was changed after registration: use another version",
            )


def read_bundle(folder: Path) -> Bundle:
    """Read and check a bundle. That the labels fit the model's output is checked by `Predictor`.

    Raises BundleError if a file is missing, of an unknown format, or holds something else than it should.
    """
    about = read_json(folder / PROVENANCE)
    if not isinstance(about, dict) or about.get("format") not in FORMATS:
        found = about.get("format") if isinstance(about, dict) else about
        raise BundleError(f"{folder / PROVENANCE}: expected format 1 or 2, found {show(repr(found), SHOWN)}")
    _check_fields(
        folder / PROVENANCE, about, {"format": int, "name": str, "precision": str, "provenance": dict}
    )
    _check_words(folder / PROVENANCE, (about["name"], about["precision"]))
    content_key = _content_key(folder)
    _check_model(folder / MODEL)
    return Bundle(
        folder=folder,
        name=about["name"],
        precision=about["precision"],
        labels=_read_labels(folder / LABELS),
        preprocessing=_read_preprocessing(folder / PREPROCESSING, about["format"]),
        provenance=about["provenance"],
        content_key=content_key,
        size_bytes=sum((folder / name).stat().st_size for name in CONTENT),
    )


def _content_key(folder: Path) -> str:
    lines = hashlib.sha256()
    for name in CONTENT:
        with open_file(folder / name) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        lines.update(f"{name} {digest}\n".encode())
    return lines.hexdigest()


def _check_model(path: Path) -> None:
    with open_file(path) as file:
        head = file.read(8)
    if head[4:] != b"TFL3":
        raise BundleError(f"{path}: expected a LiteRT model (TFL3), found bytes {head[4:]!r}")


def _read_labels(path: Path) -> tuple[Label, ...]:
    values = read_json(path)
    if not isinstance(values, list) or not values:
        raise BundleError(f"{path}: expected a list with a label for each output")
    for number, value in enumerate(values):
        _check_fields(path, value, {"name": str | None, "synset": str | None}, f"label {number}: ")
    labels = tuple(Label(**value) for value in values)
    if all(label.name is None for label in labels):
        raise BundleError(f"{path}: no label has a name: nothing could be answered")
    _check_words(path, (word for label in labels for word in (label.name, label.synset)))
    return labels


def _check_words(path: Path, words: Iterable[str | None]) -> None:
    """Refuse what an answer, a page or a terminal could not show."""
    for word in words:
        if word is not None and not is_plain(word):
            expected = f"names of at most {MOST_CHARACTERS} printable characters"
            raise BundleError(
                f"{path}: expected {expected}, found {show(word, SHOWN)!r}",
                "a label or its own name cannot be shown: use another version",
            )


def _read_preprocessing(path: Path, version: int) -> Preprocessing:
    # Every command knows BundleError, and starts without NumPy and Pillow.
    from modelyard.inference.fits import check_fit

    value = read_json(path)
    number = int | float
    sizes = {"height": int, "width": int, "channels": int, "mean": number, "scale": number}
    if version == 1:
        _check_fields(path, value, {**sizes, "kind": str, "align_corners": bool})
        value = _translate_format_1(path, value)
    _check_fields(path, value, {**sizes, "fit": str})
    found = Preprocessing(**value)
    if wrong := check_fit(found.fit, found.height, found.width, found.channels):
        raise BundleError(f"{path}: {wrong}")
    # Whole numbers of JSON may be larger than any float; NaN is not smaller than anything.
    if not (abs(found.mean) < MOST_LEVELS and 0 < abs(found.scale) < MOST_LEVELS):
        shown = show((found.mean, found.scale), SHOWN)
        raise BundleError(f"{path}: expected a finite mean and a scale that is not 0, found {shown}")
    return found


def _translate_format_1(path: Path, value: dict[str, Any]) -> dict[str, Any]:
    """Name the fit of a bundle of before fits had names: it had two kinds of pictures."""
    kind, corners = value["kind"], value["align_corners"]
    if kind not in ("digit", "photo"):
        raise BundleError(f"{path}: kind: expected 'digit' or 'photo', found {show(repr(kind), SHOWN)}")
    fit = "mnist" if kind == "digit" else "stretch_corners" if corners else "stretch"
    return {key: value[key] for key in ("height", "width", "channels", "mean", "scale")} | {"fit": fit}


def _check_fields(path: Path, value: Any, types: dict[str, Any], where: str = "") -> None:
    if not isinstance(value, dict) or value.keys() != types.keys():
        found = show(sorted(value)) if isinstance(value, dict) else type(value).__name__
        raise BundleError(f"{path}: {where}expected the keys {sorted(types)}, found {found}")
    for key, kind in types.items():
        if not isinstance(value[key], kind) or (kind is not bool and isinstance(value[key], bool)):
            expected = getattr(kind, "__name__", str(kind))
            found = show(repr(value[key]), SHOWN)
            raise BundleError(f"{path}: {where}{key}: expected {expected}, found {found}")
