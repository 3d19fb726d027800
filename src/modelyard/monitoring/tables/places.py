"""Places for tables: a folder, or a prefix in an S3 bucket, through pyarrow's file systems."""

import os
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from modelyard.errors import ModelyardError, UsageError
from modelyard.monitoring.tables.schema import Table

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

IMAGES = "images"
_S3 = "s3://"
# In this order: what the AWS command line reads, then what MLflow reads.
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "MLFLOW_S3_ENDPOINT_URL")
# A store that does not answer must not hold up the thread that writes.
_CONNECT_S, _REQUEST_S = 5, 30


@dataclass(frozen=True)
class Place:
    """A place for tables.

    Attributes:
        name: as it was given.
        root: its path in the file system, without a slash at the end.
    """

    name: str
    root: str

    @cached_property
    def files(self) -> "FileSystem":
        """The file system; pyarrow is imported here, and takes 30 MB."""
        from pyarrow import fs

        if self.is_local:
            return fs.LocalFileSystem()
        # One put for a small file, instead of a start, a part and an end.
        return fs.S3FileSystem(**_read_options(), allow_delayed_open=True, background_writes=False)

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine."""
        return not self.name.startswith(_S3)

    def folder(self, kind: Table | str, model: str, *inner: str) -> str:
        """Return the path of a model's folder of a table, or of the images; `inner` are folders in there.

        A name is percent-encoded where it holds anything but letters, digits, `_`, `.` and `-`.
        """
        kind = kind if isinstance(kind, str) else kind.name
        # `quote` leaves the tilde alone.
        encoded = quote(model, safe="").replace("~", "%7E")
        return "/".join([self.root, kind, f"model={encoded}", *inner])


def open_place(name: str) -> Place:
    """Open a folder, or `s3://bucket/prefix`; nothing is read or written, and nothing has to exist yet.

    A bucket's keys, region and address come from the environment, as for the AWS command line and MLflow.
    Raises UsageError if it is neither, and ModelyardError if pyarrow is not installed.
    """
    if find_spec("pyarrow") is None:
        raise ModelyardError("tables need pyarrow: install modelyard[record]")
    if not name.startswith(_S3):
        if not name or "://" in name:
            raise UsageError(f"expected a folder or s3://bucket/prefix, got {name!r}")
        return Place(name, str(Path(name).absolute()))
    bucket, _, prefix = name.removeprefix(_S3).partition("/")
    if not bucket:
        raise UsageError(f"expected s3://bucket/prefix, got {name!r}")
    return Place(name, f"{bucket}/{prefix}".rstrip("/"))


def _read_options() -> dict[str, Any]:
    options: dict[str, Any] = {"connect_timeout": _CONNECT_S, "request_timeout": _REQUEST_S}
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), None)
    return (
        options
        | ({"region": region} if region else {})
        | ({"endpoint_override": endpoint} if endpoint else {})
    )
