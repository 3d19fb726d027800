"""Links to a person's own files, wherever they are, at paths that dvc.yaml can name."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from modelyard.errors import ModelyardError
from modelyard.files import replace_file
from modelyard.repository import locate

NONE = "none"
NO_PICTURES = "The pictures of this dataset come from its sources: see its file below conf/data.\n"
NO_FILES = "No file of this network is without a sha256: see its file below conf/pretrained.\n"


def lay_source(path: str | None, link: Path, key: str = "data.path") -> None:
    """Make `link` lead to the folder `path` of conf/ (`key`), and record `path` beside it, in `link`.txt.

    None makes a folder of `link` that only says where the pictures come from. An earlier link or such a
    folder is replaced. Raises ModelyardError if `path` is missing (see `repository.locate`), is no folder or
    contains `link`, or something else is at `link`.
    """
    target = None if path is None else _find_folder(path, link, key)
    _clear(link)
    if target is None:
        link.mkdir(parents=True)
        (link / "README").write_text(NO_PICTURES)
    else:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target, target_is_directory=True)
    _record(path or NONE, link.with_suffix(".txt"))


def lay_files(files: Mapping[str, Path], folder: Path) -> None:
    """Replace `folder` by links to files, under relative names that are recorded in `folder`.txt."""
    _clear(folder)
    folder.mkdir(parents=True)
    for name, file in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(file.absolute())
    if not files:
        (folder / "README").write_text(NO_FILES)
    _record("\n".join(files) or NONE, folder.with_suffix(".txt"))


def _find_folder(path: str, link: Path, key: str) -> Path:
    target = locate(path, key, "a folder")
    if not target.is_dir():
        raise ModelyardError(f"{key}: expected a folder, {target} is not one")
    here = link.parent.resolve() / link.name
    if here.is_relative_to(target.resolve()) or target.absolute() == here:
        raise ModelyardError(f"{key}: expected a folder apart from {link}, got {path}")
    return target


def _clear(link: Path) -> None:
    """Remove what an earlier call made, and nothing else."""
    if link.is_symlink():
        link.unlink()
    elif link.is_dir() and _is_ours(link):
        shutil.rmtree(link)
    elif link.exists():
        raise ModelyardError(
            f"{link}: expected links that `compose` made, or nothing, got something else: move it away"
        )


def _is_ours(folder: Path) -> bool:
    files = [path for path in folder.rglob("*") if not path.is_dir()]
    return bool(files) and all(
        file.is_symlink() or (file.name == "README" and file.read_text() in (NO_PICTURES, NO_FILES))
        for file in files
    )


def _record(text: str, path: Path) -> None:
    content = f"{text}\n"
    if not path.is_file() or path.read_text() != content:
        with replace_file(path) as new:
            new.write_text(content)
