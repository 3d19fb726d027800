"""serve: the versions that the serve stage loads."""

from typing import Annotated

from pydantic import Field

from modelyard.params.group import Group, VersionUri


class Serve(Group):
    """The versions that the serve stage loads."""

    mnist: VersionUri
    inception: VersionUri
    top_k: Annotated[int, Field(ge=1, le=1000)]
