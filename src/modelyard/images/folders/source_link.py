"""The place of the pictures: a link in the repository to wherever they lie, so that dvc.yaml can name it."""

import shutil
from pathlib import Path

from modelyard.errors import ModelyardError
from modelyard.files import replace_file
from modelyard.repository import find_root

NONE = "none"
README = "The pictures of this dataset come from its sources: see its file below conf/data.\n"


def lay_source(path: str | None, link: Path) -> None:
    """Make `link` lead to the folder `path`, and put `path` on record beside it, in `link`.txt.

    Args:
        path: as it stands in conf/: absolute, or relative to the working directory or to the repository's
            root; None makes a folder of `link` that only says where the pictures come from.
        link: an earlier link or such a folder is replaced.

    Raises:
        ModelyardError: `path` is missing, is no folder or lies around `link`; or something else is in the
            place of `link`.
    """
    target = None if path is None else _find_folder(path, link)
    _clear(link)
    if target is None:
        link.mkdir(parents=True)
        (link / "README").write_text(README)
    else:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(target, target_is_directory=True)
    _record(path or NONE, link.with_suffix(".txt"))


def _find_folder(path: str, link: Path) -> Path:
    places = [Path.cwd() / path] if Path(path).is_absolute() else [Path.cwd() / path, find_root() / path]
    target = next((place for place in places if place.exists()), None)
    if target is None:
        raise ModelyardError(f"data.path: expected a folder, there is no {' and no '.join(map(str, places))}")
    if not target.is_dir():
        raise ModelyardError(f"data.path: expected a folder, {target} is none")
    here = link.parent.resolve() / link.name
    if here.is_relative_to(target.resolve()) or target.absolute() == here:
        raise ModelyardError(f"data.path: expected a folder apart from {link}, got {path}")
    return target


def _clear(link: Path) -> None:
    """Take away what an earlier call made, and nothing else."""
    if link.is_symlink():
        link.unlink()
    elif link.is_dir() and _is_ours(link):
        shutil.rmtree(link)
    elif link.exists():
        raise ModelyardError(
            f"{link}: expected a link to the pictures or nothing, got something else: move it away"
        )


def _is_ours(folder: Path) -> bool:
    files = list(folder.iterdir())
    return [file.name for file in files] == ["README"] and files[0].read_text() == README


def _record(text: str, path: Path) -> None:
    content = f"{text}\n"
    if not path.is_file() or path.read_text() != content:
        with replace_file(path) as new:
            new.write_text(content)
