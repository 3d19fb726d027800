"""Named files out of a .tgz that nobody has to trust."""

import gzip
import hashlib
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, BinaryIO

from modelyard.files import replace_file
from modelyard.sources.choice import WrongContent

_BLOCK_BYTES = 1 << 16


class _BoundedGzip(gzip.GzipFile):
    """What gzip unpacks, up to a limit: a small archive can unpack into more than the disk holds."""

    def __init__(self, file: BinaryIO, archive: Path, max_bytes: int) -> None:
        super().__init__(fileobj=file, mode="rb")
        self._archive = archive
        self._max_bytes = max_bytes
        self._read_bytes = 0

    def read(self, size: int | None = -1) -> bytes:
        block = super().read(size)
        self._read_bytes += len(block)
        if self._read_bytes > self._max_bytes:
            raise WrongContent(str(self._archive), f"unpacks into more than {self._max_bytes:,} bytes")
        return block


def extract_members(
    archive: Path, names: Mapping[str, str | None], into: Path, max_bytes: int, folder: str = ""
) -> dict[str, Path]:
    """Write the named files of a .tgz into a folder: all of them, verified, or none.

    The whole archive is read, so that its own checksum is checked too; nothing else of it is written.

    Args:
        archive: a gzipped tar.
        names: a file's name in the archive, and its SHA-256 in hex, or None where it is not known.
        into: the folder to write to; made where missing.
        max_bytes: what the archive may unpack into, headers included.
        folder: the folder inside the archive that holds the files, as in "package/data".

    Returns:
        The path of every name.

    Raises:
        WrongContent: it is no .tgz, is cut short, is too large; it lacks a name or has it twice; a checksum
            differs; or any member is a link or a device, has an absolute name, or `..` in it.
    """
    wanted = {f"{folder}/{name}".lstrip("/"): name for name in names}
    written: dict[str, Path] = {}
    try:
        # The files take their places when the stack closes, which an error prevents for all of them.
        with archive.open("rb") as file, ExitStack() as stack:
            _check_magic(archive, file)
            for path, member, content in _walk(archive, file, max_bytes):
                name = wanted.get(path)
                if name is None:
                    continue
                if name in written or not member.isfile():
                    raise WrongContent(str(archive), f"expected one file {path}, got it twice or as a folder")
                new = stack.enter_context(replace_file(into / name))
                _write_verified(archive, path, content, new, names[name])
                written[name] = into / name
            if missing := sorted(set(names) - set(written)):
                raise WrongContent(str(archive), f"lacks {', '.join(missing)}")
    except (EOFError, gzip.BadGzipFile, zlib.error, tarfile.TarError) as error:
        raise WrongContent(str(archive), f"expected a whole .tgz, got a damaged one ({error})") from None
    return written


def _check_magic(archive: Path, file: BinaryIO) -> None:
    start = file.read(64)
    if not start.startswith(b"\x1f\x8b"):
        raise WrongContent(str(archive), f"expected a .tgz, got a file that starts with {start[:24]!r}")
    file.seek(0)


def _walk(
    archive: Path, file: BinaryIO, max_bytes: int
) -> Iterator[tuple[str, tarfile.TarInfo, IO[bytes] | None]]:
    """Yield path, header and content of every member, then read to the end for the checksum of gzip."""
    unpacked = _BoundedGzip(file, archive, max_bytes)
    with tarfile.open(fileobj=unpacked, mode="r|") as tar:
        for member in tar:
            yield _check_member(archive, member), member, tar.extractfile(member)
    while unpacked.read(_BLOCK_BYTES):
        continue


def _check_member(archive: Path, member: tarfile.TarInfo) -> str:
    """Return the member's path without a leading `./`, or refuse the archive for what it would do."""
    parts = member.name.split("/")
    if member.name.startswith("/") or ".." in parts:
        raise WrongContent(str(archive), f"member {member.name!r} points outside the archive: refused")
    if not (member.isfile() or member.isdir()) or member.issparse():
        raise WrongContent(str(archive), f"member {member.name!r} is a link or a device, no file: refused")
    return "/".join(part for part in parts if part not in ("", "."))


def _write_verified(
    archive: Path, path: str, content: IO[bytes] | None, new: Path, sha256: str | None
) -> None:
    digest = hashlib.sha256()
    with new.open("wb") as out:
        while content is not None and (block := content.read(_BLOCK_BYTES)):
            digest.update(block)
            out.write(block)
    if sha256 is not None and digest.hexdigest() != sha256:
        raise WrongContent(str(archive), f"{path}: expected sha256 {sha256}, got {digest.hexdigest()}")
