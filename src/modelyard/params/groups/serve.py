"""serve: the versions that the serve stage loads."""

from typing import Annotated

from pydantic import Field

from modelyard.params.group import Group, VersionUri


class Serve(Group):
    """The versions that the serve stage loads, of the model trained here and of the imported one."""

    trained: VersionUri
    imported: VersionUri
    top_k: Annotated[int, Field(ge=1, le=1000)]
