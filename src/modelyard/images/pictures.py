"""Labelled pictures, each available as the file that a client would send."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from modelyard import arrays as npz
from modelyard.errors import ModelyardError, named
from modelyard.images.additions.joined import JoinedPictures, digest_labelled
from modelyard.inference.decoding.images import ImageError, Limits, decode
from modelyard.inference.decoding.pixels import encode_png

Labels = NDArray[np.unsignedinteger[Any]]
# Generous: your own pictures are no attack, and cameras make larger ones every year.
LIMITS = Limits(max_bytes=1 << 30, max_pixels=400_000_000)


def label_type(classes: int) -> np.dtype[Any]:
    """Return the smallest type that holds the labels 0..classes-1."""
    return np.dtype(np.min_scalar_type(max(classes - 1, 1)))


@dataclass(frozen=True, eq=False)
class _Labelled:
    """Pictures with their labels, uint8 or uint16 (n,), and the names of their classes.

    `slow` says whether decoding takes so long that several threads are worth it.
    """

    slow: ClassVar[bool]
    labels: Labels
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse labels of another type, or out of range."""
        if self.labels.ndim != 1 or self.labels.dtype != label_type(len(self.classes)):
            expected = f"{label_type(len(self.classes))} (n,)"
            raise ModelyardError(f"labels: expected {expected}, got {self.labels.dtype} {self.labels.shape}")
        if self.labels.size and self.labels.max() >= len(self.classes):
            raise ModelyardError(
                f"labels: expected 0..{len(self.classes) - 1}, one of {len(self.classes)} classes, got "
                f"{self.labels.max()}: is `classes` in conf/data the list of this dataset?"
            )

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class PixelPictures(_Labelled):
    """Grey pictures of one size, as levels, uint8 (n, h, w); a PNG is made of each on demand."""

    slow: ClassVar[bool] = False
    levels: NDArray[np.uint8]

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.levels.dtype != np.uint8 or self.levels.ndim != 3 or len(self.levels) != len(self.labels):
            expected = f"uint8 ({len(self.labels)}, h, w)"
            raise ModelyardError(f"images: expected {expected}, got {self.levels.dtype} {self.levels.shape}")

    def name(self, place: int) -> str:
        """Return a name for messages."""
        return f"image {place}"

    def file(self, place: int) -> bytes:
        """Return a PNG, which keeps every pixel."""
        return encode_png(self.levels[place])

    def key(self, place: int) -> str:
        """Return a digest of shape and levels, which only copies share."""
        return digest_arrays(self.levels[place])

    def pixels(self, place: int, grey: bool, _drawing: bool = False) -> NDArray[np.uint8]:
        """Return the levels, (h, w), which have no transparency; in RGB three times the same, (h, w, 3)."""
        levels: NDArray[np.uint8] = self.levels[place]
        return levels if grey else np.repeat(levels[:, :, None], 3, axis=2)

    def take(self, places: Sequence[int] | NDArray[np.intp]) -> Self:
        """Return some of the pictures, in this order."""
        return replace(self, labels=self.labels[places], levels=self.levels[places])

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, over shape and raw bytes of the levels, then of the labels."""
        return digest_arrays(self.levels, self.labels)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of a file, apart from the labels."""
        return {"levels": self.levels}


@dataclass(frozen=True, eq=False)
class PictureFiles(_Labelled):
    """PNG and JPEG files below a folder; each is read on demand, and must still have its SHA-256."""

    slow: ClassVar[bool] = True
    folder: Path
    paths: tuple[str, ...]
    sha256: tuple[str, ...]

    def name(self, place: int) -> str:
        """Return the path below the folder, for messages."""
        return self.paths[place]

    def file(self, place: int) -> bytes:
        """Return the file's bytes; raises ModelyardError if it is gone or has changed."""
        path = self.folder / self.paths[place]
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelyardError(
                f"{path}: {error.strerror}: run `dvc repro` to read the folder again"
            ) from None
        if hashlib.sha256(content).hexdigest() != self.sha256[place]:
            raise ModelyardError(f"{path} has changed since it was split: run `dvc repro` to split again")
        return content

    def key(self, place: int) -> str:
        """Return the file's SHA-256."""
        return self.sha256[place]

    def pixels(self, place: int, grey: bool, drawing: bool = False) -> NDArray[np.uint8]:
        """Decode the file, as `inference.decoding.images.decode` does: (h, w) in grey, or (h, w, 3)."""
        try:
            return decode(self.file(place), LIMITS, grey, drawing=drawing)
        except ImageError as error:
            raise ModelyardError(f"{self.folder / self.paths[place]}: {error.reason}") from None

    def take(self, places: Sequence[int] | NDArray[np.intp]) -> Self:
        """Return some of the pictures, in this order."""
        return replace(
            self,
            labels=self.labels[places],
            paths=tuple(self.paths[place] for place in places),
            sha256=tuple(self.sha256[place] for place in places),
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, over a line for each picture: the digest of its file, and its label."""
        return digest_labelled(self.sha256, self.labels)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of a file, apart from the labels."""
        return {"paths": np.array(self.paths), "sha256": np.array(self.sha256)}


# All have the same methods.
Pictures: TypeAlias = PixelPictures | PictureFiles | JoinedPictures
# The folder of added pictures lies beside that of a dataset's own.
ADDITIONS = "additions"


def digest_arrays(*arrays: NDArray[Any]) -> str:
    """Return a SHA-256, in hex, over shape and raw bytes of each array."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def write_pictures(path: Path, pictures: Pictures, inputs: NDArray[Any] | None = None) -> None:
    """Write a .npz; the same pictures give the same bytes.

    `inputs` are the pictures fitted for a network, (n, h, w, c), if one learns from them.
    """
    arrays = {"labels": pictures.labels, "classes": np.array(pictures.classes), **pictures.arrays()}
    levels = arrays.get("levels")
    if inputs is not None and (levels is None or not np.array_equal(levels[..., None], inputs)):
        arrays["inputs"] = inputs
    npz.write_arrays(path, arrays, compressed=False)


def read_pictures(path: Path, folder: Path) -> Pictures:
    """Read what `write_pictures` wrote, without pickle.

    Files of pictures are in `folder`; those that were added to them in the folder ADDITIONS beside it.
    """
    with open_arrays(path) as arrays:
        classes = tuple(map(str, arrays["classes"]))
        if "places" not in arrays:
            return _read_part(arrays, "", classes, folder)
        known, added = (
            _read_part(arrays, f"{part}_", classes, where)
            for part, where in (("known", folder), ("added", folder.with_name(ADDITIONS)))
        )
        if not isinstance(added, PictureFiles):
            raise TypeError("added pixels instead of files")
        return JoinedPictures(known, added, arrays["places"])


def _read_part(
    arrays: Any, start: str, classes: tuple[str, ...], folder: Path
) -> PixelPictures | PictureFiles:
    labels = arrays[f"{start}labels"]
    if f"{start}levels" in arrays:
        return PixelPictures(labels, classes, arrays[f"{start}levels"])
    paths, sha256 = (tuple(map(str, arrays[f"{start}{name}"])) for name in ("paths", "sha256"))
    return PictureFiles(labels, classes, folder, paths, sha256)


@contextmanager
def open_arrays(path: Path, stage: str = "download") -> Iterator[Any]:
    """Open an .npz of a stage; an error in the body becomes a ModelyardError with file and stage."""
    expected, maker = f"what the stage {stage} writes", f"`dvc repro {stage}` makes it"
    with npz.open_arrays(path, expected, maker, f"`dvc repro --force {stage}`") as arrays, named(str(path)):
        yield arrays
