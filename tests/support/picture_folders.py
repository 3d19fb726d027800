"""Folders of picture files, made by tests, and the splits that hold them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from modelyard.images.pictures import Labels, PictureFiles
from modelyard.inference.decoding.formats import PNG


def hold_files(
    folder: Path, files: Sequence[bytes], labels: Labels, classes: tuple[str, ...]
) -> PictureFiles:
    """Write each file into the folder of its class, and return them as pictures."""
    paths = []
    for place, file in enumerate(files):
        suffix = "png" if file.startswith(PNG.magic) else "jpg"
        path = folder / f"class {labels[place]}" / f"{place:03}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file)
        paths.append(path.relative_to(folder).as_posix())
    digests = tuple(hashlib.sha256(file).hexdigest() for file in files)
    return PictureFiles(labels, classes, folder, tuple(paths), digests)
