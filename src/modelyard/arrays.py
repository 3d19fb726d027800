"""Arrays in .npz files, without pickle."""

import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelyard.errors import ModelyardError
from modelyard.files import replace_file

FAULTS = (KeyError, ValueError, EOFError, TypeError, AttributeError, OSError, zipfile.BadZipFile)


@contextmanager
def open_arrays(path: Path, expected: str, maker: str, remedy: str) -> Iterator[Any]:
    """Open an .npz; an error in the body becomes a ModelyardError that names the file.

    Its message says what was `expected`, and what to do: `maker` if there is no file, else `remedy`.
    """
    try:
        # Opened here, because NumPy does not close a file that it cannot read.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            yield arrays
    except FileNotFoundError:
        raise ModelyardError(f"{path} is missing: {maker}") from None
    except FAULTS as error:
        raise ModelyardError(f"{path}: expected {expected}, got {error}: {remedy}") from error


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], *, compressed: bool = True) -> None:
    """Write an .npz, whole or not at all; the same arrays give the same bytes."""
    save: Any = np.savez_compressed if compressed else np.savez
    with replace_file(path) as new, new.open("wb") as file:
        save(file, allow_pickle=False, **arrays)
