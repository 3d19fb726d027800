"""The bundle: a folder with all that an answer needs, and where it came from.

`model.tflite`, `labels.json` and `preprocessing.json` decide what is answered: they are the content.
`provenance.json` says what it is called, in which precision, and how it was made.
"""

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

MODEL = "model.tflite"
LABELS = "labels.json"
PREPROCESSING = "preprocessing.json"
PROVENANCE = "provenance.json"
CONTENT = (MODEL, LABELS, PREPROCESSING)
# Written; format 1, which had kinds of pictures in the place of fits, is read too.
FORMAT = 2
READABLE = (1, 2)


class BundleError(ValueError):
    """A folder is no bundle that can answer; the message names the folder or the file."""


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
    """How an image becomes the model's input, float32 (1, height, width, channels).

    Attributes:
        fit: one of `fits.FITS`, which brings the decoded pixels, 0..255, to the input's size.
        height: of the input, in pixels.
        width: of the input, in pixels.
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


@dataclass(frozen=True)
class Bundle:
    """What `read_bundle` found in a folder.

    Attributes:
        folder: where the files are.
        name: the registered name, such as "mnist".
        precision: "float32" or "int8".
        labels: one for each output of the model, in its order.
        preprocessing: how an image becomes the model's input.
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

    def verify(self, content_key: str) -> None:
        """Refuse the bundle unless it holds what `content_key` stands for.

        Raises:
            BundleError: it holds something else.
        """
        if self.content_key != content_key:
            raise BundleError(
                f"{self.folder}: expected content {content_key}, found {self.content_key}: "
                "it was changed after registration; get it again, or use another version"
            )


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
    """Write a bundle; the same arguments give the same bytes. An older bundle in `folder` is replaced.

    All files are written and read back in a folder beside, which then takes the place of `folder`.

    Raises:
        BundleError: an argument makes no valid bundle, or `folder` holds something else.
    """
    if folder.exists() and not (folder / PROVENANCE).is_file() and any(folder.iterdir()):
        raise BundleError(f"{folder} holds files that are no bundle: remove it, or name another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    about = {"format": FORMAT, "name": name, "precision": precision, "provenance": provenance}
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as beside:
        new = Path(beside, "new")
        new.mkdir()
        _write(new / MODEL, model)
        _write(new / LABELS, _to_json([asdict(label) for label in labels], LABELS))
        _write(new / PREPROCESSING, _to_json(asdict(preprocessing), PREPROCESSING))
        _write(new / PROVENANCE, _to_json(about, PROVENANCE))
        bundle = read_bundle(new)
        if folder.exists():
            folder.replace(Path(beside, "old"))
        new.replace(folder)
    return replace(bundle, folder=folder)


def read_bundle(folder: Path) -> Bundle:
    """Read and check a bundle. That the labels fit the model's output is checked by `Predictor`.

    Raises:
        BundleError: a file is missing, of an unknown format, or holds something else than it should.
    """
    about = _read_json(folder / PROVENANCE)
    if not isinstance(about, dict) or about.get("format") not in READABLE:
        found = about.get("format") if isinstance(about, dict) else about
        raise BundleError(f"{folder / PROVENANCE}: expected format 1 or 2, found {found!r}")
    _check_fields(
        folder / PROVENANCE, about, {"format": int, "name": str, "precision": str, "provenance": dict}
    )
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
        try:
            with (folder / name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise BundleError(f"{folder / name}: {error.strerror}: a bundle has this file") from None
        lines.update(f"{name} {digest}\n".encode())
    return lines.hexdigest()


def _check_model(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(8)
    if head[4:] != b"TFL3":
        raise BundleError(f"{path}: expected a LiteRT model (TFL3), found bytes {head[4:]!r}")


def _read_labels(path: Path) -> tuple[Label, ...]:
    values = _read_json(path)
    if not isinstance(values, list) or not values:
        raise BundleError(f"{path}: expected a list with a label for each output")
    for number, value in enumerate(values):
        _check_fields(path, value, {"name": str | None, "synset": str | None}, f"label {number}: ")
    labels = tuple(Label(**value) for value in values)
    if all(label.name is None for label in labels):
        raise BundleError(f"{path}: no label has a name: nothing could be answered")
    return labels


def _read_preprocessing(path: Path, version: int) -> Preprocessing:
    # Every command knows BundleError, and starts without NumPy and Pillow.
    from modelyard.inference.fits import check_fit

    value = _read_json(path)
    number = int | float
    sizes = {"height": int, "width": int, "channels": int, "mean": number, "scale": number}
    if version == 1:
        _check_fields(path, value, {**sizes, "kind": str, "align_corners": bool})
        value = _translate_format_1(path, value)
    _check_fields(path, value, {**sizes, "fit": str})
    found = Preprocessing(**value)
    if wrong := check_fit(found.fit, found.height, found.width, found.channels):
        raise BundleError(f"{path}: {wrong}")
    if not (math.isfinite(found.mean) and math.isfinite(found.scale) and found.scale != 0):
        raise BundleError(f"{path}: expected a finite mean and scale, found {found.mean} and {found.scale}")
    return found


def _translate_format_1(path: Path, value: dict[str, Any]) -> dict[str, Any]:
    """Name the fit of a bundle of before fits had names: it had two kinds of pictures."""
    kind, corners = value["kind"], value["align_corners"]
    if kind not in ("digit", "photo"):
        raise BundleError(f"{path}: kind: expected 'digit' or 'photo', found {kind!r}")
    fit = "mnist" if kind == "digit" else "stretch_corners" if corners else "stretch"
    return {key: value[key] for key in ("height", "width", "channels", "mean", "scale")} | {"fit": fit}


def _check_fields(path: Path, value: Any, types: dict[str, Any], where: str = "") -> None:
    if not isinstance(value, dict) or value.keys() != types.keys():
        found = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise BundleError(f"{path}: {where}expected the keys {sorted(types)}, found {found}")
    for key, kind in types.items():
        if not isinstance(value[key], kind) or (kind is not bool and isinstance(value[key], bool)):
            expected = getattr(kind, "__name__", str(kind))
            raise BundleError(f"{path}: {where}{key}: expected {expected}, found {value[key]!r}")


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror}: a bundle has this file") from None
    except ValueError as error:
        raise BundleError(f"{path} is not JSON: {error}") from None


def _to_json(value: Any, name: str) -> bytes:
    try:
        text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BundleError(f"{name} must hold plain, finite JSON values: {error}") from None
    return f"{text}\n".encode()


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
