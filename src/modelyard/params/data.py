"""data: where the digits come from, and how they are split."""

from typing import Annotated, Literal

from pydantic import Field

from modelyard.params.group import FileName, Group, NpmPackage, Positive, Seconds, Several, Sha256


class NpzSource(Group):
    """Keras' mnist.npz, with the arrays x_train, y_train, x_test and y_test."""

    kind: Literal["npz"]
    url: str


class IdxGzSource(Group):
    """A folder of a web server that holds the four IDX files, each with `.gz` behind its name."""

    kind: Literal["idx_gz"]
    url: Annotated[str, Field(pattern=r"/$")]


class NpmSource(Group):
    """A package of the npm registry that holds the four raw IDX files in `folder`."""

    kind: Literal["npm"]
    package: NpmPackage
    folder: str


class Data(Group):
    """Where the digits come from, and how they are split."""

    name: str
    licence: str
    homepage: str
    folder: str | None
    sources: Annotated[
        tuple[Annotated[NpzSource | IdxGzSource | NpmSource, Field(discriminator="kind")], ...], Several
    ]
    connect_timeout_s: Seconds
    read_timeout_s: Seconds
    sha256: dict[FileName, Sha256]
    validation_images: Positive
    split_seed: Annotated[int, Field(ge=0, lt=2**32)]
    samples: Annotated[int, Field(ge=1, le=100)]
