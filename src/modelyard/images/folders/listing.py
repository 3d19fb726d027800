"""The files of a folder of pictures: the class and split of each, and what is skipped."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelyard.errors import ModelyardError
from modelyard.images.folders.picture_check import is_picture
from modelyard.inference.decoding.formats import NAMES

SPLITS = ("train", "validation", "test")
LAYOUT = (
    f"expected a folder for each class with its {NAMES} files directly inside, or train/ and test/ (and "
    "validation/) with those folders inside"
)
# Files of Windows; those of macOS are hidden.
LITTER = ("thumbs.db", "ehthumbs.db", "desktop.ini")
_LISTED = 10
# Labels are written one to a line.
_NO_LABEL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True)
class Listed:
    """A file that should be a picture: its path below the folder, with slashes, its split and its label."""

    path: str
    split: str
    label: int


@dataclass(frozen=True)
class Listing:
    """The files of a folder of pictures.

    Attributes:
        files: sorted by path, the same on every machine.
        strays: paths of files outside the classes that are not pictures.
        splits: those of SPLITS with a folder of their own; none if the classes are at the top.
        skipped: the numbers of hidden files and empty folders.
    """

    classes: tuple[str, ...]
    files: tuple[Listed, ...]
    strays: tuple[str, ...]
    splits: tuple[str, ...]
    skipped: Mapping[str, int]


def list_pictures(folder: Path, classes: Sequence[str] | None) -> Listing:
    """List the files of each class and split, by their paths alone.

    `classes` are in the order of the labels; None takes the folders' names, sorted by their Unicode
    characters.

    Raises ModelyardError if there are no files, pictures outside the classes, folders inside a class, links
    that lead in a circle, or other folders than `classes` lists.
    """
    skipped = Counter({"hidden files": 0, "empty folders": 0})
    paths = sorted(_walk(folder, (), (), skipped), key=lambda path: [*map(_compose, path)])
    if not paths:
        raise ModelyardError(f"{LAYOUT}; found no files ({describe_skipped(skipped)})")
    tops = sorted({path[0] for path in paths if len(path) > 1})
    is_split = "train" in tops and set(tops) <= set(SPLITS) and any(len(path) > 2 for path in paths)
    depth = 3 if is_split else 2
    if deep := ["/".join(path) for path in paths if len(path) > depth]:
        raise ModelyardError(
            f"{LAYOUT}; found files in folders inside a class {name_some(deep)}\n"
            f"At the top lie {', '.join(tops)}."
        )
    strays = tuple("/".join(path) for path in paths if len(path) < depth)
    if homeless := [path for path in strays if is_picture(folder / path)]:
        raise ModelyardError(f"{LAYOUT}; found pictures outside the class folders {name_some(homeless)}")
    inside = [path for path in paths if len(path) == depth]
    names = _choose_classes({_compose(path[-2]) for path in inside}, classes)
    labels = {_compose(name): label for label, name in enumerate(names)}
    files = tuple(
        Listed("/".join(path), path[0] if is_split else "train", labels[_compose(path[-2])])
        for path in inside
    )
    return Listing(names, files, strays, tuple(tops) if is_split else (), dict(skipped))


def describe_skipped(skipped: Mapping[str, int]) -> str:
    """Return a sentence on what was skipped."""
    return "skipped: " + ", ".join(f"{count:,} {what}" for what, count in skipped.items())


def name_some(names: Sequence[str]) -> str:
    """Return the number of names in brackets, and the first ten of them, a line each."""
    more = f"\n  and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return f"({len(names):,}):" + "".join(f"\n  {name}" for name in names[:_LISTED]) + more


def _walk(
    folder: Path, inside: tuple[str, ...], above: tuple[tuple[int, int], ...], skipped: Counter[str]
) -> list[tuple[str, ...]]:
    """Return the path of every file below a folder, in parts, and count what is skipped; links are followed.

    `inside` is the folder's own path, in parts; `above` has device and inode of the folders around it.
    """
    found: list[tuple[str, ...]] = []
    try:
        status, names = folder.stat(), os.listdir(folder)  # noqa: PTH208 names alone are wanted
    except OSError as error:
        raise ModelyardError(
            f"expected a folder that can be read, got {'/'.join(inside) or folder}: {error.strerror}"
        ) from None
    here = (status.st_dev, status.st_ino)
    if here in above:
        link = "/".join(inside)
        raise ModelyardError(
            f"expected no links in circles, got the link {link} to a folder that contains it"
        )
    for name in names:
        if name.startswith(".") or name.lower() in LITTER:
            skipped["hidden files"] += 1
        elif (folder / name).is_dir():
            found += _walk(folder / name, (*inside, name), (*above, here), skipped)
        else:
            found.append((*inside, name))
    if inside and not found:
        skipped["empty folders"] += 1
    return found


def _choose_classes(found: Iterable[str], listed: Sequence[str] | None) -> tuple[str, ...]:
    """Return the classes in their order; the folders and the list must be the same."""
    names = tuple(sorted(found))
    if bad := [name for name in names if _NO_LABEL.search(name)]:
        raise ModelyardError(
            f"expected names of classes without line breaks and in UTF-8, got {bad[0]!a}: rename that folder"
        )
    if listed is None:
        return names
    wanted = {_compose(name) for name in listed}
    missing, unknown = sorted(wanted.difference(names)), sorted(set(names) - wanted)
    if missing or unknown:
        raise ModelyardError(
            "data.classes: expected a folder with pictures for each class in the list, and no other; without "
            f"one: {', '.join(missing) or 'none'}; not in the list: {', '.join(unknown) or 'none'}"
        )
    return tuple(listed)


def _compose(name: str) -> str:
    """Return the one spelling of a name; macOS writes é as two characters, others as one."""
    return unicodedata.normalize("NFC", name)
