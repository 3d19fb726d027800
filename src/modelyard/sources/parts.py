"""The part of a file that has arrived so far, and its source."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modelyard.files import write_json


@dataclass(frozen=True)
class Part:
    """`TARGET.part`, which grows until it is whole, and `TARGET.part.json`, which names its source.

    A part from another `url` is useless. A checksum would detect pieces of two versions put together.
    """

    target: Path
    url: str
    connect_timeout_s: float
    read_timeout_s: float
    sha256: str | None
    max_bytes: int | None

    @property
    def file(self) -> Path:
        """The bytes so far, from the first one."""
        return self.target.with_name(f"{self.target.name}.part")

    @property
    def size_bytes(self) -> int:
        """The size of the part, 0 without one."""
        return self.file.stat().st_size if self.file.exists() else 0

    def resume_headers(self) -> dict[str, str]:
        """Return the headers that ask a server for the rest, or none if the part cannot be continued."""
        url, version = self._read_notes()
        if self.size_bytes == 0 or url != self.url or not (version or self.sha256):
            return {}
        return {"Range": f"bytes={self.size_bytes}-"} | ({"If-Range": version} if version else {})

    def begin(self, headers: Mapping[str, str]) -> None:
        """Start again, and note a server's version; a weak ETag does not promise the same bytes."""
        etag = headers.get("ETag", "")
        version = etag if etag.startswith('"') else headers.get("Last-Modified", "")
        self.file.unlink(missing_ok=True)
        write_json(self._notes, {"url": self.url, "version": version})

    def drop(self) -> None:
        """Remove the part."""
        self.file.unlink(missing_ok=True)
        self._notes.unlink(missing_ok=True)

    def become_target(self) -> None:
        """Move the part to the target, in one step, once it is on the disk."""
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
            return "", ""  # the file is fetched from the start
