"""The part of a file that has come so far, and whose part it is."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modelyard.files import write_json


@dataclass(frozen=True)
class Part:
    """`TARGET.part`, which grows until it is whole, and `TARGET.part.json`, which says of what.

    Attributes:
        target: where the whole file will be.
        url: where it comes from; a part of another address is of no use.
        pinned: whether a checksum will tell when pieces of two versions were put together.
    """

    target: Path
    url: str
    pinned: bool

    @property
    def file(self) -> Path:
        """What has come, in order, from the first byte."""
        return self.target.with_name(f"{self.target.name}.part")

    @property
    def size_bytes(self) -> int:
        """How much has come; 0 where nothing has."""
        return self.file.stat().st_size if self.file.exists() else 0

    def resume_headers(self) -> dict[str, str]:
        """Return what asks a server for the rest; empty where nothing can be gone on from."""
        url, version = self._read_notes()
        if self.size_bytes == 0 or url != self.url or not (version or self.pinned):
            return {}
        return {"Range": f"bytes={self.size_bytes}-"} | ({"If-Range": version} if version else {})

    def begin(self, headers: Mapping[str, str]) -> None:
        """Start anew with what a server says of the file. A weak ETag does not promise the same bytes."""
        etag = headers.get("ETag", "")
        version = etag if etag.startswith('"') else headers.get("Last-Modified", "")
        self.file.unlink(missing_ok=True)
        write_json(self._notes, {"url": self.url, "version": version})

    def drop(self) -> None:
        """Forget what has come."""
        self.file.unlink(missing_ok=True)
        self._notes.unlink(missing_ok=True)

    def become_target(self) -> None:
        """Take the target's place, in one step and on the disk."""
        with self.file.open("rb") as file:
            os.fsync(file.fileno())
        self.file.replace(self.target)
        self._notes.unlink(missing_ok=True)

    @property
    def _notes(self) -> Path:
        return self.target.with_name(f"{self.target.name}.part.json")

    def _read_notes(self) -> tuple[str, str]:
        try:
            notes = json.loads(self._notes.read_text())
            return str(notes["url"]), str(notes["version"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return "", ""  # without them the file is fetched from its beginning
