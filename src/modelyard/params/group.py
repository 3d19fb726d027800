"""What all groups of parameters have in common, and the types that several of them use."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# Valid as the name of a model in MLflow, and of a folder.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$", max_length=200)]
FileName = Annotated[str, Field(pattern=r"^[\w.-]+$", description="a file's name without a folder")]
FolderName = Annotated[str, Field(pattern=r"^\w[\w.-]*(/\w[\w.-]*)*$", description="such as package/data")]
NpmPackage = Annotated[str, Field(pattern=r"^(@[\w.-]+/)?[\w.-]+@\d+\.\d+\.\d+$")]
VersionUri = Annotated[str, Field(pattern=r"^models:/[^/@]+(@[^/@]+|/\d+|/latest)$")]
# YAML has lists instead of tuples; their items stay strict.
Several = Field(strict=False)


class Group(BaseModel):
    """A group of parameters: no unknown key, no conversion of types, no change afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
