"""pretrained: the archive to import, and what stands in for it."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from modelyard.params.group import FileName, Group, NpmPackage, Positive, Seconds, Several, Sha256, Share
from modelyard.params.published import Card, Published


class Member(Group):
    """A file of an archive, and what it must be."""

    file: FileName
    sha256: Sha256


class Members(Group):
    """The members that are read from the archive of a 2015 frozen graph."""

    graph: Member
    label_map: Member
    synset_words: Member
    photo: Member | None


class GraphInput(Group):
    """Where normalised pixels enter the graph: `(pixel - mean) * scale`."""

    tensor: str
    height: Annotated[int, Field(ge=1, le=4096)]
    width: Annotated[int, Field(ge=1, le=4096)]
    mean: float
    scale: Annotated[float, Field(gt=0)]


class GraphOutput(Group):
    """Where the probabilities leave the graph, and how many there are."""

    tensor: str
    classes: Positive


class Proof(Group):
    """What the archive's own picture must be taken for."""

    synset: Annotated[str, Field(pattern=r"^n\d{8}$")]
    min_score: Share


class Fallback(Group):
    """The trained Inception v3 that the npm registry holds."""

    name: str
    licence: str
    homepage: str
    card: Card
    package: NpmPackage
    folder: str
    labels: Annotated[tuple[str, ...], Several]
    sha256: dict[FileName, Sha256]


class Pretrained(Published):
    """The archive to import, and what stands in for it."""

    archive: str | None
    sources: Annotated[tuple[str, ...], Several]
    connect_timeout_s: Seconds
    read_timeout_s: Seconds
    max_archive_bytes: Positive
    members: Members
    input: GraphInput
    output: GraphOutput
    features_tensor: str
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
