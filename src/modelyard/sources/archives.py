"""Files from an archive that is not trusted: a .tar, .tgz or .zip.

Limits bound the unpacked bytes, the headers, the members and their names, because a small archive can demand
far too much memory or disk by each of these.
"""

import gzip
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple

from modelyard.sources.bounded_file import BoundedFile, Refused
from modelyard.sources.choice import WrongContent

_BLOCK_BYTES = 1 << 16
_GZIP, _ZIP, _TAR = b"\x1f\x8b", b"PK\x03\x04", b"ustar"
_TAR_MAGIC_AT = 257
# For one .tar header with its extensions, all headers of a .tar, and a .zip's directory.
_MOST_HEADER_BYTES, _MOST_HEADERS_BYTES, _MOST_DIRECTORY_BYTES = 1 << 14, 1 << 23, 1 << 22
_HEADER_BLOCK_BYTES = 1 << 12
_MOST_MEMBERS = 10_000
_MOST_NAME, _MOST_PART_BYTES, _MOST_PARTS = 1_000, 255, 50
# Other methods of a .zip unpack a block at once, of any size.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# The modules' own errors, and others that they raise for a broken file.
_OWN_DAMAGES = (gzip.BadGzipFile, zlib.error, tarfile.TarError, zipfile.BadZipFile)
_DAMAGES = (*_OWN_DAMAGES, EOFError, NotImplementedError, IndexError, ValueError, struct.error)


class _Member(NamedTuple):
    """A member of an archive: a safe path without a leading `./`, and its content, None for a folder."""

    path: str
    content: IO[bytes] | None


def unpack_archive(archive: Path, into: Path, max_bytes: int) -> None:
    """Write all files of an archive below a folder, which is empty or made.

    The whole archive is read, so that its own checksum is checked too. `max_bytes` bounds all unpacked bytes,
    headers included. After an error the folder holds a part, and the caller removes it.

    Raises WrongContent if it is no archive, is cut short, is too large, or has a file twice; any member is a
    link or a device, has an absolute name, or `..` in it; or there are too many members, or too long names or
    headers.
    """
    with _faults_named(archive):
        for path, content in _walk(archive, max_bytes):
            if content is None:
                continue
            new = into / path
            try:
                new.parent.mkdir(parents=True, exist_ok=True)
                with new.open("xb") as out:
                    shutil.copyfileobj(content, out, _BLOCK_BYTES)
            except (FileExistsError, NotADirectoryError):
                raise Refused(f"expected one file {path}, got it twice or as a folder") from None


def find_all(folder: Path, names: Iterable[str]) -> dict[str, Path]:
    """Return the path of each name; raises WrongContent if the unpacked folder lacks any."""
    paths = {name: folder / name for name in names}
    if missing := sorted(name for name, path in paths.items() if not path.is_file()):
        raise WrongContent(str(folder), f"lacks {', '.join(missing)}")
    return paths


@contextmanager
def _faults_named(archive: Path) -> Iterator[None]:
    try:
        yield
    except Refused as error:
        raise WrongContent(str(archive), str(error)) from None
    except _DAMAGES as error:
        reason = " ".join(str(error)[:200].split())
        raise WrongContent(str(archive), f"expected a whole archive, got a damaged one ({reason})") from None


def _walk(archive: Path, max_bytes: int) -> Iterator[_Member]:
    """Yield every member, then read to the end for the archive's own checksum."""
    with archive.open("rb") as file:
        for count, member in enumerate(_open(file, max_bytes)):
            if count == _MOST_MEMBERS:
                raise Refused(f"has more than {_MOST_MEMBERS:,} members: refused")
            yield member


def _open(file: BinaryIO, max_bytes: int) -> Iterator[_Member]:
    start = file.read(512)
    file.seek(0)
    if start.startswith(_GZIP):
        with gzip.open(file) as unpacked:
            yield from _walk_tar(unpacked, max_bytes)
    elif start[_TAR_MAGIC_AT:].startswith(_TAR):
        yield from _walk_tar(file, max_bytes)
    elif start.startswith(_ZIP):
        yield from _walk_zip(file, max_bytes)
    else:
        raise Refused(f"expected a .tar, .tgz or .zip, got a file that starts with {start[:24]!r}")


def _walk_tar(file: BinaryIO | gzip.GzipFile, max_bytes: int) -> Iterator[_Member]:
    bounded = BoundedFile(file, max_bytes)
    with bounded.header(_MOST_HEADER_BYTES):
        tar = tarfile.open(  # type: ignore[call-overload]  # noqa: SIM115  # entered below
            fileobj=bounded, mode="r|", bufsize=_HEADER_BLOCK_BYTES
        )
    headers_bytes = 0
    with tar:
        while (member := _read_header(tar, bounded)) is not None:
            headers_bytes += member.offset_data - member.offset
            if headers_bytes > _MOST_HEADERS_BYTES:
                raise Refused(f"has more than {_MOST_HEADERS_BYTES:,} bytes of headers")
            plain = (member.isfile() or member.isdir()) and not member.issparse()
            path, content = _check_member(member.name, plain), tar.extractfile(member)
            yield _Member(path, content)
            # Up to the next header.
            while content is not None and content.read(_BLOCK_BYTES):
                continue
    while bounded.read(_BLOCK_BYTES):
        continue


def _read_header(tar: tarfile.TarFile, bounded: BoundedFile) -> tarfile.TarInfo | None:
    """Return the next member: a name, comment or map of a sparse file may be as large as the archive."""
    with bounded.header(_MOST_HEADER_BYTES):
        return tar.next()


def _walk_zip(file: BinaryIO, max_bytes: int) -> Iterator[_Member]:
    bounded = BoundedFile(file, max_bytes)
    with bounded.header(_MOST_DIRECTORY_BYTES):
        whole = zipfile.ZipFile(bounded)
    with whole:
        members = whole.infolist()
        # Each member is read only up to its declared size.
        if sum(member.file_size for member in members) > max_bytes:
            raise Refused(f"unpacks into more than {max_bytes:,} bytes")
        for member in members:
            path = _check_zip_member(member)
            if member.is_dir():
                yield _Member(path, None)
            else:
                with whole.open(member) as content:
                    yield _Member(path, content)


def _check_zip_member(member: zipfile.ZipInfo) -> str:
    plain = stat.S_IFMT(member.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
    path = _check_member(member.filename, plain)
    if member.flag_bits & 1:
        raise Refused(f"member {path[:80]!r} is encrypted: refused")
    if member.compress_type not in _METHODS:
        raise Refused(f"member {path[:80]!r} is not packed by deflate: refused")
    return path


def _check_member(name: str, plain: bool) -> str:
    """Return the member's path without a leading `./`, or refuse the archive for what it would do."""
    parts = name.split("/")
    if name.startswith("/") or ".." in parts:
        raise Refused(f"member {name[:80]!r} points outside the archive: refused")
    if not plain:
        raise Refused(f"member {name[:80]!r} is a link or a device, no file: refused")
    if not _is_name(name, parts):
        raise Refused(f"member {name[:80]!r} has a name that is too long or none: refused")
    return "/".join(part for part in parts if part not in ("", "."))


def _is_name(name: str, parts: list[str]) -> bool:
    fits = 0 < len(name) <= _MOST_NAME and len(parts) <= _MOST_PARTS and "\0" not in name
    return fits and all(len(os.fsencode(part)) <= _MOST_PART_BYTES for part in parts)
