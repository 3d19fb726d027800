"""The files of a network from elsewhere: found in a folder, an archive or one by one, and verified."""

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path

from modelyard.networks.importing.layout import PLACE, is_archive, place_network
from modelyard.params import File, Pretrained
from modelyard.repository import locate
from modelyard.sources.archives import unpack_archive
from modelyard.sources.choice import WrongContent, first_that_answers, kept_path, sha256_of
from modelyard.sources.transfers import fetch

HINT = "on a machine without internet, name a local copy: pretrained.path=PATH"
# Weights are hardly compressible; the official archive unpacks into 1.1 times its size.
_MOST_UNPACKED = 4


@dataclass(frozen=True)
class Obtained:
    """The verified files: their source, and the path and SHA-256 (in hex) of each name in conf/."""

    address: str
    paths: dict[str, Path]
    sha256: dict[str, str]


def obtain_network(pretrained: Pretrained, scratch: Path) -> Obtained:
    """Find and verify all files, at `pretrained.path` or from the first source that answers.

    Archives are unpacked in `scratch`, an empty folder. Raises NoSourceAnswers if no source has the files,
    and ModelyardError if a path of this machine is missing or wrong.
    """
    if pretrained.path is not None:
        place = locate(pretrained.path, "pretrained.path", PLACE)
        return _collect(pretrained, place, place.name, scratch)
    sources = {url: lambda url=url: _fetch_all(pretrained, url, scratch) for url in pretrained.sources}
    obtained, _ = first_that_answers(pretrained.name, sources, HINT)
    return obtained


def digest_network(path: Path) -> str:
    """Return the SHA-256 of a file, or of a folder: over its sorted lines "SHA-256  RELATIVE/PATH"."""
    if path.is_file():
        return sha256_of(path)
    files = [file for file in path.rglob("*") if not file.is_dir()]
    if links := [file for file in path.rglob("*") if file.is_symlink()]:
        raise WrongContent(str(path), f"{links[0].name} is a link, no file: refused")
    lines = sorted(f"{sha256_of(file)}  {file.relative_to(path).as_posix()}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _fetch_all(pretrained: Pretrained, url: str, scratch: Path) -> Obtained:
    kept = _fetch(pretrained, url, None)
    try:
        return _collect(pretrained, kept, url, scratch)
    except WrongContent as error:
        # The archive has no checksum of its own: if kept, the next run would use it again.
        kept.unlink()
        raise WrongContent(url, error.reason) from None


def _fetch(pretrained: Pretrained, url: str, sha256: str | None) -> Path:
    return fetch(
        url,
        kept_path(url),
        connect_timeout_s=pretrained.connect_timeout_s,
        read_timeout_s=pretrained.read_timeout_s,
        sha256=sha256,
        max_bytes=pretrained.max_archive_bytes,
    )


def _collect(pretrained: Pretrained, place: Path, address: str, scratch: Path) -> Obtained:
    unpacked = place
    try:
        if is_archive(pretrained, place):
            unpacked = Path(tempfile.mkdtemp(dir=scratch))
            unpack_archive(place, unpacked, _MOST_UNPACKED * pretrained.max_archive_bytes)
        network, folder = place_network(pretrained, unpacked)
        paths = {pretrained.network.file: network}
        for file in pretrained.files[1:]:
            paths[file.file] = _find(pretrained, file, folder)
        return Obtained(address, paths, {file.file: _verify(file, paths) for file in pretrained.files})
    except WrongContent as error:
        # The unpacked files are gone when the message is read.
        raise WrongContent(str(place), error.reason) from None


def _find(pretrained: Pretrained, file: File, folder: Path) -> Path:
    if file.path is not None:
        return locate(file.path, file.file, PLACE)
    if file.url is not None:
        return _fetch(pretrained, file.url, file.sha256)
    place = folder / file.file
    if not place.is_file() or place.is_symlink():
        raise WrongContent(str(folder), f"lacks {file.file}")
    return place


def _verify(file: File, paths: dict[str, Path]) -> str:
    found = digest_network(paths[file.file])
    if file.sha256 is not None and found != file.sha256:
        raise WrongContent(str(paths[file.file]), f"{file.file}: expected sha256 {file.sha256}, got {found}")
    return found
