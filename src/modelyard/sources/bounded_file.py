"""An archive's file, read within limits, because its headers may demand more memory than there is."""

from collections.abc import Iterator
from contextlib import contextmanager
from gzip import GzipFile
from typing import BinaryIO
from zipfile import BadZipFile


class Refused(Exception):  # noqa: N818
    """An archive is not what was expected; the message says why, without its name."""


class BoundedFile:
    """Reads at most `max_bytes` of a file (unpacked, if it is a gzip file), and less within `header`."""

    def __init__(self, file: BinaryIO | GzipFile, max_bytes: int) -> None:
        self._file, self._end = file, max_bytes
        self._reason = f"unpacks into more than {max_bytes:,} bytes"
        self._read_bytes = 0

    @contextmanager
    def header(self, max_bytes: int) -> Iterator[None]:
        """Allow no more than `max_bytes` for all that is read inside."""
        before = self._end, self._reason
        end = self._read_bytes + max_bytes
        if end < self._end:
            self._end, self._reason = end, f"has a header of more than {max_bytes:,} bytes"
        yield
        self._end, self._reason = before

    def read(self, size: int = -1) -> bytes:
        """Read as a file does; raises Refused if a limit is passed."""
        room = self._end - self._read_bytes
        block = self._file.read(room + 1 if size < 0 else min(size, room + 1))
        self._read_bytes += len(block)
        if len(block) > room:
            raise Refused(self._reason)
        return block

    def seek(self, offset: int, whence: int = 0) -> int:
        """Seek as a file does; raises BadZipFile for a place before the start, as in a broken directory."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            raise BadZipFile(f"no place {offset} in the file") from None

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Return whether `seek` may be called."""
        return self._file.seekable()
