"""pretrained: a network trained elsewhere, what it must be, and its stand-in."""

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, model_validator

from modelyard.inference.fits import check_fit
from modelyard.params.group import (
    FileName,
    FolderName,
    Group,
    Name,
    NpmPackage,
    Positive,
    Seconds,
    Several,
    Sha256,
    Share,
)
from modelyard.params.published import Card, Published


def _in_a_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


# One number for all channels, or one each for red, green and blue.
PerChannel: TypeAlias = Annotated[tuple[float, ...], BeforeValidator(_in_a_list), Several]


class File(Group):
    """A file of the archive or folder, or with its own `path` (relative to the repository) or `url`.

    Your own files may come without a SHA-256, which is then recorded.
    """

    file: FileName
    sha256: Sha256 | None
    path: str | None = None
    url: str | None = None


class Entrance(Group):
    """The network's input: levels 0..255 of a fitted picture, as `(level - mean) * scale`.

    Mean and scale of three channels are those of red, green and blue, even if the network's own order is bgr.
    """

    height: int
    width: int
    channels: int
    fit: str
    order: Literal["rgb", "bgr"]
    mean: PerChannel
    scale: PerChannel

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if wrong := check_fit(self.fit, self.height, self.width, self.channels):
            raise ValueError(wrong)
        for name, values in (("mean", self.mean), ("scale", self.scale)):
            if len(values) not in (1, self.channels):
                raise ValueError(f"{name}: expected 1 number or {self.channels}, got {len(values)}")
        if self.order == "bgr" and self.channels != 3:
            raise ValueError(f"order bgr: expected 3 channels, got {self.channels}")
        return self


class TensorEntrance(Entrance):
    """The input of a graph, at a tensor such as "Mul:0"."""

    tensor: str


class Exit(Group):
    """The network's output: a number for each class, of which `named` have a label."""

    classes: Positive
    named: Positive
    activation: Literal["softmax", "logits"]

    @model_validator(mode="before")
    @classmethod
    def _one_class_wins(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("activation") == "sigmoid":
            raise ValueError(
                "softmax or logits; a sigmoid names several things at once, and cannot be ranked"
            )
        return values

    @model_validator(mode="after")
    def _not_more_names(self) -> Self:
        if self.named > self.classes:
            raise ValueError(f"named: at most the {self.classes} classes")
        return self


class TensorExit(Exit):
    """The output of a graph, at a tensor such as "softmax:0"."""

    tensor: str


class Decoded(Group):
    """The tensors of a graph that decodes and resizes: for a file's bytes, and for decoded pixels."""

    contents_tensor: str
    pixels_tensor: str


Offset = Annotated[int, Field(ge=0)]


class ImagenetLabels(Group):
    """The two maps of 2015: an output to its synset, a synset to its words."""

    format: Literal["imagenet_2015"]
    label_map: File
    synset_words: File


class FileLabels(File):
    """A text file with a line for each label, or JSON: a list, or an index such as {"0": "tench"}.

    The first label is that of output `offset`: 1 if a background class comes first.
    """

    format: Literal["lines", "json"]
    offset: Offset = 0


class ListLabels(Group):
    """The labels themselves, from output `offset` on."""

    format: Literal["list"]
    names: Annotated[tuple[str, ...], Several]
    offset: Offset = 0


class Proof(File):
    """A picture, and the synset or words of the label that it must get."""

    label: str
    min_score: Share


class Fallback(Group):
    """The trained Inception v3 in the npm registry; it has the gate of the network that it replaces."""

    name: Name
    licence: str
    homepage: str
    card: Card
    package: NpmPackage
    folder: FolderName
    labels: Annotated[tuple[str, ...], Several]
    sha256: dict[FileName, Sha256]


class Pretrained(Published):
    """The parameters of all formats.

    Attributes:
        path: on this machine: a folder, an archive, or the network's own file; used before `sources`.
        network: the file itself; a SavedModel is a folder (see `importing.obtaining.digest_network`).
        features: the tensor or layer to pool for model=features, if any.
        proof: None is recorded as unproved.
        fallback: the stand-in if no source can be reached, if any.
    """

    path: str | None
    sources: Annotated[tuple[str, ...], Several]
    connect_timeout_s: Seconds
    read_timeout_s: Seconds
    max_archive_bytes: Positive
    network: File
    input: Entrance
    output: Exit
    labels: Annotated[ImagenetLabels | FileLabels | ListLabels, Field(discriminator="format")]
    features: str | None
    proof: Proof | None
    allow_fallback: bool
    fallback: Fallback | None

    @property
    def files(self) -> tuple[File, ...]:
        """All files that are read, the network first."""
        labels: tuple[File, ...] = ()
        if isinstance(self.labels, ImagenetLabels):
            labels = (self.labels.label_map, self.labels.synset_words)
        elif isinstance(self.labels, FileLabels):
            labels = (self.labels,)
        return self.network, *labels, *([self.proof] if self.proof else [])

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if self.fallback is not None and self.fallback.name == self.name:
            raise ValueError(f"a stand-in with a name of its own, not {self.name!r} too")
        if self.path is None and not self.sources:
            raise ValueError("a path, or at least one address in sources")
        for file in self.files:
            own = file.path is not None or (self.path is not None and file.url is None)
            if file.sha256 is None and not own:
                raise ValueError(f"the sha256 of {file.file}, which comes from elsewhere")
        return self


class FrozenGraph(Pretrained):
    """A frozen graph of TensorFlow 1, a .pb with named tensors."""

    format: Literal["frozen_graph"]
    input: TensorEntrance
    output: TensorExit
    decoded: Decoded | None


class SavedModel(Pretrained):
    """A SavedModel of TensorFlow 2 with the signature serving_default."""

    format: Literal["saved_model"]


class KerasFile(Pretrained):
    """A .keras or .h5: whole, or weights for a function of keras.applications."""

    format: Literal["keras"]
    architecture: Annotated[str, Field(pattern=r"^[A-Z]\w+$")] | None = None


class LiteRtFile(Pretrained):
    """A .tflite with float32 input and output."""

    format: Literal["litert"]


AnyPretrained: TypeAlias = Annotated[
    FrozenGraph | SavedModel | KerasFile | LiteRtFile, Field(discriminator="format")
]
